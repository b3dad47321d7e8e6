package io.secretslots.client;

import io.grpc.Status.Code;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Everything that is known of one secret at one revision. Immutable. */
public final class SecretState {
  private final String name;
  private final String epoch;
  private final long revision;
  private final AbsentReason absent;
  private final List<Slot> slots;
  // Made once, so that a read allocates nothing. A failed slot has no version.
  private final long[] numbers;
  private final SecretVersion[] versions;
  private final SecretVersion current;

  /** Slots ascend by number; {@code absent} is given exactly when there is none. */
  SecretState(String name, String epoch, long revision, AbsentReason absent, List<Slot> slots) {
    if ((absent == null) == slots.isEmpty()) {
      throw new IllegalArgumentException("either slots or a reason why there is none");
    }
    this.name = name;
    this.epoch = epoch;
    this.revision = revision;
    this.absent = absent;
    this.slots = List.copyOf(slots);
    numbers = new long[slots.size()];
    versions = new SecretVersion[slots.size()];
    for (int i = 0; i < numbers.length; i++) {
      Slot slot = slots.get(i);
      numbers[i] = slot.number();
      if (!slot.failed()) {
        versions[i] =
            new SecretVersion(
                name, slot.number(), slot.value(), revision, epoch, slot.createTime());
      }
    }
    current = numbers.length == 0 ? null : versions[numbers.length - 1];
  }

  /** The secret's name. */
  public String name() {
    return name;
  }

  /** The store's history that this state belongs to. */
  public String epoch() {
    return epoch;
  }

  /** The commit that made this state so; rises with every change within an epoch. */
  public long revision() {
    return revision;
  }

  /** Why there is no value; empty when there are slots. */
  public Optional<AbsentReason> absent() {
    return Optional.ofNullable(absent);
  }

  /** The enabled slots, ascending. */
  public List<Slot> slots() {
    return slots;
  }

  /**
   * The value in the slot with the largest number.
   *
   * @throws SlotsException as {@link SecretHandle#current}
   */
  public SecretVersion current() {
    SecretVersion version = current;
    return version != null ? version : resolve(numbers.length - 1);
  }

  /**
   * The value in the slot with the largest number at or below {@code t}.
   *
   * @throws SlotsException as {@link SecretHandle#effectiveAt}
   */
  public SecretVersion effectiveAt(long t) {
    int i = floor(SlotsException.checkNumber(t, "t"));
    SecretVersion version = i < 0 ? null : versions[i];
    return version != null ? version : resolve(i);
  }

  /**
   * Every value that is effective somewhere from {@code t - overlap} to {@code t + overlap}.
   *
   * @see SecretHandle#acceptable
   */
  public List<SecretVersion> acceptable(long t, long overlap) {
    SlotsException.checkNumber(t, "t");
    SlotsException.checkNumber(overlap, "overlap");
    long from = Math.max(0, t - overlap);
    long to = t > Long.MAX_VALUE - overlap ? Long.MAX_VALUE : t + overlap;
    List<SecretVersion> found = new ArrayList<>(2);
    for (int i = floor(to); i >= Math.max(0, floor(from)); i--) {
      SecretVersion version = versions[i];
      if (version != null && found.stream().noneMatch(v -> v.value().equals(version.value()))) {
        found.add(version);
      }
    }
    return List.copyOf(found);
  }

  /** The index of the largest number at or below t, or -1. */
  private int floor(long t) {
    int i = Arrays.binarySearch(numbers, t);
    return i >= 0 ? i : -i - 2;
  }

  /** The error for a slot that has no version, or for none at all. */
  private SecretVersion resolve(int i) {
    if (i >= 0) {
      throw new SlotsException(
          Code.DATA_LOSS,
          "DATA_LOSS",
          "slot " + numbers[i] + " of " + name + " can't be opened by the server",
          Map.of("name", name, "slot", Long.toString(numbers[i])));
    }
    if (absent != null) {
      throw new SlotsException(
          Code.NOT_FOUND, absent.errorReason, name + " " + absent.words, Map.of("name", name));
    }
    throw new SlotsException(
        Code.NOT_FOUND,
        AbsentReason.NO_ENABLED_SLOT.errorReason,
        name + " has no enabled slot at or below that number",
        Map.of("name", name));
  }

  /** Whether {@link #current} gives an answer. */
  boolean resolves() {
    return current != null;
  }

  /** Why {@link #current} gives none, in words. */
  String whyNot() {
    return absent != null ? absent.words : "data loss in slot " + numbers[numbers.length - 1];
  }

  /** The same epoch, slots, their revisions, failures and absence. */
  boolean sameContent(SecretState other) {
    if (!epoch.equals(other.epoch)
        || absent != other.absent
        || slots.size() != other.slots.size()) {
      return false;
    }
    for (int i = 0; i < slots.size(); i++) {
      if (!slots.get(i).sameAs(other.slots.get(i))) {
        return false;
      }
    }
    return true;
  }

  /** Whether what {@link #current} gives differs in slot, value, failure or absence. */
  boolean resolvesUnlike(SecretState other) {
    if (current != null && other.current != null) {
      return current.slot() != other.current.slot()
          || !current.value().equals(other.current.value());
    }
    if (current != other.current || absent != other.absent) {
      return true;
    }
    return absent == null && numbers[numbers.length - 1] != other.numbers[other.numbers.length - 1];
  }

  @Override
  public String toString() {
    return "SecretState[name=%s, epoch=%s, revision=%d, %s]"
        .formatted(name, epoch, revision, absent != null ? "absent=" + absent : "slots=" + slots);
  }
}
