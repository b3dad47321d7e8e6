package io.secretslots.client;

import io.secretslots.v1.FailedSlot;
import io.secretslots.v1.LiveSlot;
import io.secretslots.v1.WatchSlotsResponse;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What is known of the watched secrets, as the events of the streams make it. Nothing older ever
 * replaces newer within an epoch (W14). Used by one thread.
 */
final class Replica {
  /**
   * A replica at one moment: what a new stream or process can go on from.
   *
   * @param epoch the store's history; "" when nothing is known
   * @param revision of the last {@code synced} or {@code progress}
   * @param resumeToken for the next stream; "" for none
   * @param states by name
   */
  record Snapshot(
      String epoch, long revision, String resumeToken, Map<String, SecretState> states) {
    static final Snapshot EMPTY = new Snapshot("", 0, "", Map.of());
  }

  /** What an event means for those who read and wait. */
  enum Effect {
    /** Nothing to see yet. */
    NONE,
    /** The server says that we are up to date. */
    PROGRESS,
    /** States were applied; they are in {@link #changed}. */
    SYNCED
  }

  /** The stream can't go on: it breaks a promise, or a value came in damaged. */
  static final class BrokenStream extends Exception {
    private static final long serialVersionUID = 1;

    BrokenStream(String message) {
      super(message);
    }
  }

  private final Set<String> names;
  private final Map<String, SecretState> applied = new HashMap<>();
  private final Map<String, PendingSecret> pending = new HashMap<>();
  private List<SecretState> changed = List.of();

  private String resumeToken = "";
  // The order: what a synced of the same epoch must not fall below.
  private String epoch = "";
  private long revision;
  // Of the stream: the epoch that its events belong to, and whether the order was given up.
  private String streamEpoch = "";
  private boolean reset;

  Replica(Collection<String> names, Snapshot from) {
    this.names = new LinkedHashSet<>(names);
    applied.putAll(from.states());
    epoch = from.epoch();
    revision = from.revision();
    resumeToken = from.resumeToken();
  }

  String resumeToken() {
    return resumeToken;
  }

  void forgetToken() {
    resumeToken = "";
  }

  /** The pending set dies with its stream; what was applied does not. */
  void beginStream() {
    pending.clear();
    streamEpoch = epoch;
    reset = false;
  }

  /** The states that the last {@link Effect#SYNCED} replaced, new ones. */
  List<SecretState> changed() {
    return changed;
  }

  Snapshot snapshot() {
    return new Snapshot(epoch, revision, resumeToken, Map.copyOf(applied));
  }

  /** Takes the next event of the stream. */
  Effect receive(WatchSlotsResponse event) throws BrokenStream {
    if (event.getEventCase() == WatchSlotsResponse.EventCase.EVENT_NOT_SET) {
      return Effect.NONE;
    }
    if (event.hasHistoryReset()
        || !(streamEpoch.isEmpty() || streamEpoch.equals(event.getEpoch()))) {
      forgetHistory();
    }
    streamEpoch = event.getEpoch();
    long at = number(event.getRevision());
    switch (event.getEventCase()) {
      case BEGIN -> put(event.getBegin().getName(), PendingSecret.fresh());
      case SLOT -> slot(event.getSlot(), at);
      case REMOVED -> {
        PendingSecret secret = pending(event.getRemoved().getName());
        if (secret != null) {
          secret.remove(number(event.getRemoved().getSlot()), at);
        }
      }
      case FAILED -> failed(event.getFailed(), at);
      case ABSENT -> {
        PendingSecret secret = pending(event.getAbsent().getName());
        if (secret != null) {
          secret.absent(Wire.reason(event.getAbsent().getReason()), at);
        }
      }
      case SYNCED -> {
        synced(at, event.getResumeToken());
        return Effect.SYNCED;
      }
      case PROGRESS -> {
        progress(at, event.getResumeToken());
        return Effect.PROGRESS;
      }
      case HISTORY_RESET, EVENT_NOT_SET -> {}
    }
    return Effect.NONE;
  }

  private void forgetHistory() {
    reset = true;
    resumeToken = "";
    epoch = "";
    revision = 0;
    pending.clear();
    names.forEach(name -> pending.put(name, PendingSecret.fresh()));
  }

  private void slot(LiveSlot event, long at) throws BrokenStream {
    PendingSecret secret = pending(event.getName());
    if (secret == null) {
      return;
    }
    SecretValue value;
    try {
      value = Checksum.verified(event.getName(), event.getValue(), event.getCrc32C());
    } catch (SlotsException e) {
      throw new BrokenStream(e.getMessage());
    }
    secret.put(
        new Slot(
            number(event.getSlot()),
            at,
            Wire.instant(event.hasCreateTime(), event.getCreateTime()),
            value));
  }

  /**
   * A slot that failed keeps the value that this client already holds of the same version: the
   * record was damaged later, and the value is still the right one.
   */
  private void failed(FailedSlot event, long at) throws BrokenStream {
    PendingSecret secret = pending(event.getName());
    if (secret == null) {
      return;
    }
    long number = number(event.getSlot());
    SecretState known = applied.get(event.getName());
    if (known != null && known.epoch().equals(streamEpoch)) {
      for (Slot slot : known.slots()) {
        if (slot.number() == number && slot.revision() == at && !slot.failed()) {
          secret.put(slot);
          return;
        }
      }
    }
    secret.put(new Slot(number, at, null, null));
  }

  private void synced(long at, String token) throws BrokenStream {
    if (!reset && streamEpoch.equals(epoch) && at < revision) {
      resumeToken = "";
      throw new BrokenStream("the server went back to an older revision");
    }
    List<SecretState> changes = new ArrayList<>();
    for (String name : names) {
      SecretState before = applied.get(name);
      PendingSecret secret = pending.get(name);
      if (secret == null) {
        if (before != null) {
          continue;
        }
        secret = PendingSecret.on(null);
      }
      SecretState now = secret.state(name, streamEpoch, before, at);
      if (before == null || !now.sameContent(before)) {
        applied.put(name, now);
        changes.add(now);
      }
    }
    pending.clear();
    changed = List.copyOf(changes);
    resumeToken = token;
    epoch = streamEpoch;
    revision = at;
    reset = false;
  }

  private void progress(long at, String token) {
    if (!pending.isEmpty()) {
      return; // against the protocol: to resume after it would lose what is pending
    }
    resumeToken = token;
    epoch = streamEpoch;
    revision = Math.max(revision, at);
  }

  /** What is pending of this name; null when it was not asked for. */
  private PendingSecret pending(String name) {
    PendingSecret secret = pending.get(name);
    if (secret == null && names.contains(name)) {
      secret = PendingSecret.on(applied.get(name));
      pending.put(name, secret);
    }
    return secret;
  }

  private void put(String name, PendingSecret secret) {
    if (names.contains(name)) {
      pending.put(name, secret);
    }
  }

  private static long number(long wire) throws BrokenStream {
    if (wire < 0) {
      throw new BrokenStream("a number above 2^63-1");
    }
    return wire;
  }
}
