package io.secretslots.client;

import io.secretslots.v1.AutoSlot;
import java.util.Objects;
import java.util.OptionalLong;

/**
 * One put: which slot of which secret, the value, and under which conditions. Immutable; prints no
 * value.
 *
 * <pre>{@code
 * client.putSlot(PutSlot.next("app/db", SecretValue.of("hunter2")).staged());
 * }</pre>
 *
 * @param name the secret's name; the first put creates it
 * @param slot the slot's number; empty when the server chooses it
 * @param choice how the server chooses the number
 * @param value the value
 * @param overwrite whether another value in the slot may be replaced
 * @param expectedRevision the secret's revision that the caller has seen; 0: must not exist yet
 * @param requestId makes a repeat safe; null to have one made
 * @param disabled whether the slot is staged, to be enabled later
 */
public record PutSlot(
    String name,
    OptionalLong slot,
    Choice choice,
    SecretValue value,
    boolean overwrite,
    OptionalLong expectedRevision,
    String requestId,
    boolean disabled) {
  /** How the server chooses a number. */
  public enum Choice {
    /** It does not: the caller gives it. */
    NONE(AutoSlot.AUTO_SLOT_UNSPECIFIED),
    /** One past the largest number ever used, 0 for the first. */
    NEXT_INDEX(AutoSlot.AUTO_SLOT_NEXT_INDEX),
    /** The server's clock in Unix seconds. */
    NOW(AutoSlot.AUTO_SLOT_NOW);

    final AutoSlot wire;

    Choice(AutoSlot wire) {
      this.wire = wire;
    }
  }

  /** Checks the numbers; what belongs together is the server's to say. */
  public PutSlot {
    Objects.requireNonNull(name);
    Objects.requireNonNull(choice);
    slot.ifPresent(n -> SlotsException.checkNumber(n, "slot"));
    expectedRevision.ifPresent(n -> SlotsException.checkNumber(n, "expectedRevision"));
  }

  /** Into this slot. */
  public static PutSlot at(String name, long slot, SecretValue value) {
    Objects.requireNonNull(value);
    return new PutSlot(
        name, OptionalLong.of(slot), Choice.NONE, value, false, OptionalLong.empty(), null, false);
  }

  /** Into the slot one past the largest number ever used. */
  public static PutSlot next(String name, SecretValue value) {
    return chosen(name, Choice.NEXT_INDEX, value);
  }

  /** Into the slot with the number of the server's clock in Unix seconds. */
  public static PutSlot now(String name, SecretValue value) {
    return chosen(name, Choice.NOW, value);
  }

  private static PutSlot chosen(String name, Choice choice, SecretValue value) {
    Objects.requireNonNull(value);
    return new PutSlot(
        name, OptionalLong.empty(), choice, value, false, OptionalLong.empty(), null, false);
  }

  /** May replace another value in the slot, or fill a destroyed one. */
  public PutSlot overwriting() {
    return new PutSlot(name, slot, choice, value, true, expectedRevision, requestId, disabled);
  }

  /** Only when the secret's revision is this one; 0: when it does not exist yet. */
  public PutSlot expecting(long revision) {
    return new PutSlot(
        name, slot, choice, value, overwrite, OptionalLong.of(revision), requestId, disabled);
  }

  /** With an id of the caller's, so that a repeat in another process is safe too. */
  public PutSlot withRequestId(String requestId) {
    return new PutSlot(name, slot, choice, value, overwrite, expectedRevision, requestId, disabled);
  }

  /** Disabled at first, to be enabled later. */
  public PutSlot staged() {
    return new PutSlot(name, slot, choice, value, overwrite, expectedRevision, requestId, true);
  }
}
