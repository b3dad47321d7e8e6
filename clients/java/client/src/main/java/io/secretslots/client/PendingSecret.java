package io.secretslots.client;

import java.util.List;
import java.util.TreeMap;

/** A secret's slots as the events since the last {@code synced} make them. */
final class PendingSecret {
  private final TreeMap<Long, Slot> slots = new TreeMap<>();
  private final boolean fresh;
  private AbsentReason absent;
  private long revision;
  private boolean touched;

  private PendingSecret(boolean fresh) {
    this.fresh = fresh;
  }

  /** Starts from nothing. */
  static PendingSecret fresh() {
    return new PendingSecret(true);
  }

  /** Starts from what is applied, which may be null. */
  static PendingSecret on(SecretState applied) {
    PendingSecret secret = new PendingSecret(false);
    if (applied != null) {
      applied.slots().forEach(slot -> secret.slots.put(slot.number(), slot));
      secret.absent = applied.absent().orElse(null);
    }
    return secret;
  }

  void put(Slot slot) {
    if (isOlder(slot.number(), slot.revision())) {
      return;
    }
    touch(slot.revision());
    slots.put(slot.number(), slot);
    absent = null;
  }

  void remove(long number, long at) {
    if (isOlder(number, at)) {
      return;
    }
    touch(at);
    slots.remove(number);
  }

  void absent(AbsentReason reason, long at) {
    touch(at);
    slots.clear();
    absent = reason;
  }

  /** Outside of a rebuilt state, an event older than what is known of its slot is ignored. */
  private boolean isOlder(long number, long at) {
    Slot known = slots.get(number);
    return !fresh && known != null && at < known.revision();
  }

  private void touch(long at) {
    touched = true;
    revision = Math.max(revision, at);
  }

  /**
   * The state that these events make.
   *
   * @param before what it replaces; may be null
   * @param syncedAt the store's revision that the state was read at
   */
  SecretState state(String name, String epoch, SecretState before, long syncedAt) {
    List<Slot> all = List.copyOf(slots.values());
    SecretState state = new SecretState(name, epoch, revision, all.isEmpty() ? why() : null, all);
    boolean risesWithin =
        before == null || !before.epoch().equals(epoch) || revision > before.revision();
    if (risesWithin || state.sameContent(before)) {
      return state;
    }
    return new SecretState(name, epoch, syncedAt, state.absent().orElse(null), state.slots());
  }

  private AbsentReason why() {
    if (absent != null) {
      return absent;
    }
    return fresh && !touched ? AbsentReason.NOT_EXISTING : AbsentReason.NO_ENABLED_SLOT;
  }
}
