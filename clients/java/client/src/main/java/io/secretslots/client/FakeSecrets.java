package io.secretslots.client;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A set without a server, for tests: its handles behave as real ones.
 *
 * <pre>{@code
 * FakeSecrets secrets = FakeSecrets.of(Map.of("app/db", "hunter2"));
 * secrets.rotate("app/db", SecretValue.of("hunter3"));
 * }</pre>
 */
public final class FakeSecrets extends SecretSet {
  private static final String EPOCH = "fake";

  private long revision;

  private FakeSecrets(Map<String, Map<Long, SecretValue>> secrets) {
    super(secrets.keySet());
    secrets.forEach(
        (name, values) -> {
          revision++;
          List<Slot> slots = new ArrayList<>();
          new TreeMap<>(values)
              .forEach(
                  (number, value) -> {
                    SlotsException.checkNumber(number, "slot");
                    slots.add(new Slot(number, revision, Instant.EPOCH, value));
                  });
          seed(List.of(state(name, slots)));
        });
  }

  /** Secrets with one value each, text, in slot 0. */
  public static FakeSecrets of(Map<String, String> values) {
    Map<String, Map<Long, SecretValue>> secrets = new TreeMap<>();
    values.forEach((name, value) -> secrets.put(name, Map.of(0L, SecretValue.of(value))));
    return new FakeSecrets(secrets);
  }

  /** Secrets with these slots; one without slots is there and has no value. */
  public static FakeSecrets ofSlots(Map<String, Map<Long, SecretValue>> secrets) {
    return new FakeSecrets(secrets);
  }

  /** Puts a value into the slot one past the largest. */
  public synchronized void rotate(String name, SecretValue value) {
    List<Slot> slots = handle(name).state().slots();
    long top = slots.isEmpty() ? -1 : slots.get(slots.size() - 1).number();
    rotate(name, value, top + 1); // past the end it is negative, and refused
  }

  /** Puts a value into this slot. */
  public synchronized void rotate(String name, SecretValue value, long slot) {
    Objects.requireNonNull(value);
    SlotsException.checkNumber(slot, "slot");
    revision++;
    List<Slot> slots = without(name, slot);
    slots.add(new Slot(slot, revision, Instant.EPOCH, value));
    slots.sort(Comparator.comparingLong(Slot::number));
    publish(List.of(state(name, slots)));
  }

  /** Takes a slot away; nothing happens when it isn't there. */
  public synchronized void disable(String name, long slot) {
    List<Slot> left = without(name, slot);
    if (left.size() < handle(name).state().slots().size()) {
      revision++;
      publish(List.of(state(name, left)));
    }
  }

  /** Takes the whole secret away. */
  public synchronized void delete(String name) {
    handle(name);
    revision++;
    publish(List.of(new SecretState(name, EPOCH, revision, AbsentReason.NOT_EXISTING, List.of())));
  }

  private List<Slot> without(String name, long slot) {
    List<Slot> slots = new ArrayList<>(handle(name).state().slots());
    slots.removeIf(known -> known.number() == slot);
    return slots;
  }

  private SecretState state(String name, List<Slot> slots) {
    AbsentReason absent = slots.isEmpty() ? AbsentReason.NO_ENABLED_SLOT : null;
    return new SecretState(name, EPOCH, revision, absent, slots);
  }

  @Override
  public Optional<Duration> age() {
    return Optional.of(Duration.ZERO);
  }

  @Override
  public boolean stale() {
    return false;
  }

  @Override
  public void close() {
    release();
  }

  @Override
  void warn(String warning) {}
}
