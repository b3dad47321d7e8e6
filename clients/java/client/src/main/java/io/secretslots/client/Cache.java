package io.secretslots.client;

import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.function.Consumer;

/** Keeps a set's cache file: reads it once, and writes the newest snapshot, one write at a time. */
final class Cache {
  private final CacheFile file;
  private final View view;
  private final Duration progressWrite;
  private final Executor executor;
  private final Consumer<String> warn;
  private final Object writing = new Object();
  // Guarded by this.
  private Replica.Snapshot unwritten;
  private boolean scheduled;
  private long writtenAt = System.nanoTime();

  Cache(
      CacheFile file, View view, Duration progressWrite, Executor executor, Consumer<String> warn) {
    this.file = file;
    this.view = view;
    this.progressWrite = progressWrite;
    this.executor = executor;
    this.warn = warn;
  }

  /** What the file has of these names; empty, with a warning, when it can't be used. */
  Replica.Snapshot load(Collection<String> names) {
    try {
      Optional<byte[]> payload = file.read();
      return payload.isEmpty()
          ? Replica.Snapshot.EMPTY
          : of(names, CacheFormat.decode(payload.get()));
    } catch (IOException | CacheFile.UnreadableException e) {
      warn.accept(
          "CACHE_UNREADABLE: the cache %s is not used: %s".formatted(file.path(), e.getMessage()));
      return Replica.Snapshot.EMPTY;
    }
  }

  private Replica.Snapshot of(Collection<String> names, CacheFormat.Payload payload) {
    if (payload.view() != view) {
      return Replica.Snapshot.EMPTY;
    }
    Replica.Snapshot all = payload.snapshot();
    // A token goes on from exactly the names that it covers.
    if (all.states().keySet().equals(new HashSet<>(names))) {
      return all;
    }
    Map<String, SecretState> known = new HashMap<>(all.states());
    known.keySet().retainAll(names);
    return new Replica.Snapshot(all.epoch(), all.revision(), "", known);
  }

  /** Takes a newer snapshot, to be written soon; with no change in it, at most once a minute. */
  synchronized void offer(Replica.Snapshot snapshot, boolean changed) {
    unwritten = snapshot;
    boolean due = changed || System.nanoTime() - writtenAt > progressWrite.toNanos();
    if (due && !scheduled) {
      scheduled = true;
      executor.execute(this::flush);
    }
  }

  /** Writes what is unwritten, here and now. */
  void flush() {
    synchronized (writing) {
      Replica.Snapshot snapshot;
      synchronized (this) {
        scheduled = false;
        snapshot = unwritten;
        unwritten = null;
        writtenAt = System.nanoTime();
      }
      if (snapshot == null) {
        return;
      }
      try {
        file.write(CacheFormat.encode(new CacheFormat.Payload(view, snapshot), Instant.now()));
      } catch (IOException e) {
        warn.accept("the cache %s can't be written: %s".formatted(file.path(), e));
      }
    }
  }
}
