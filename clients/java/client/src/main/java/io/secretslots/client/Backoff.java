package io.secretslots.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/** Waits with full jitter: anything from 0 to 100 ms doubled with each failure, up to a cap. */
final class Backoff {
  static final Duration CAP = Duration.ofSeconds(10);
  private static final long BASE_NANOS = Duration.ofMillis(100).toNanos();
  private static final int MAX_DOUBLINGS = 20;

  private int failures;

  void reset() {
    failures = 0;
  }

  /** The wait after one more failure, nanoseconds. */
  long nextNanos(Duration cap) {
    long bound = Math.min(cap.toNanos(), BASE_NANOS << Math.min(failures, MAX_DOUBLINGS));
    failures++;
    return ThreadLocalRandom.current().nextLong(bound + 1);
  }
}
