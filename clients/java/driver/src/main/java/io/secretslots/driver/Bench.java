package io.secretslots.driver;

import io.secretslots.client.FakeSecrets;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretValue;
import io.secretslots.client.SecretVersion;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongFunction;

/** Nanoseconds of a read. Without arguments: of a fake secret with two slots. */
public final class Bench {
  /** Nanoseconds per call. */
  record Result(String currentNs, String effectiveAtNs) {}

  private static final int BATCH = 100_000;

  /** Takes the results, so that the calls can't be thought away. */
  private static volatile long sink;

  private Bench() {}

  /** Prints the figures. */
  public static void main(String[] args) {
    try (FakeSecrets secrets =
        FakeSecrets.ofSlots(
            Map.of("app/db", Map.of(0L, SecretValue.of("a"), 1L << 40, SecretValue.of("b"))))) {
      SecretHandle handle = secrets.handle("app/db");
      Result result = run(handle, 2000);
      System.out.printf(
          "java: current() %s ns, effectiveAt() %s ns%n", result.currentNs, result.effectiveAtNs);
    }
  }

  /** Measures each call for half of the time, the first half of that to warm up. */
  static Result run(SecretHandle handle, long millis) {
    return new Result(
        measure(i -> handle.current(), millis / 2), measure(handle::effectiveAt, millis / 2));
  }

  private static String measure(LongFunction<SecretVersion> call, long millis) {
    loop(call, millis / 2);
    return String.format(Locale.ROOT, "%.1f", loop(call, millis / 2));
  }

  private static double loop(LongFunction<SecretVersion> call, long millis) {
    long start = System.nanoTime();
    long until = start + millis * 1_000_000;
    long calls = 0;
    long sum = 0;
    long now;
    do {
      for (int i = 0; i < BATCH; i++) {
        sum += call.apply(((calls + i) << 20) & Long.MAX_VALUE).slot();
      }
      calls += BATCH;
      now = System.nanoTime();
    } while (now < until);
    sink = sum;
    return (double) (now - start) / calls;
  }
}
