package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.fail;

import java.time.Duration;
import java.util.concurrent.Callable;

/** Waits for a condition, with a bound that only a defect reaches. */
final class Until {
  static final Duration BOUND = Duration.ofSeconds(20);

  private Until() {}

  static void holds(Callable<Boolean> condition) throws Exception {
    long until = System.nanoTime() + BOUND.toNanos();
    while (!condition.call()) {
      if (System.nanoTime() > until) {
        fail("the condition did not come to hold within " + BOUND);
      }
      Thread.sleep(2);
    }
  }
}
