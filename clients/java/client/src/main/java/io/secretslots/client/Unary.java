package io.secretslots.client;

import io.grpc.CallOptions;
import io.grpc.MethodDescriptor;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Unary calls: one deadline over all attempts, retried where that is safe. */
final class Unary {
  private Unary() {}

  /**
   * Calls until it works, fails for good, or another attempt would pass the deadline. Only
   * UNAVAILABLE is retried; mutations carry a request id, so an attempt more changes nothing twice.
   */
  static <Q, R> R call(
      Connection connection, MethodDescriptor<Q, R> method, Q request, Duration timeout) {
    long deadline = System.nanoTime() + timeout.toNanos();
    Backoff backoff = new Backoff();
    boolean tokenReadAgain = false;
    for (int attempt = 1; ; ) {
      Connection.Ready ready = connection.forCall(attempt > 1);
      SlotsException error;
      try {
        CallOptions options =
            CallOptions.DEFAULT.withDeadlineAfter(
                deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
        return ClientCalls.blockingUnaryCall(ready.channel(), method, options, request);
      } catch (StatusRuntimeException e) {
        error = Errors.from(e);
      }
      if (error.code() == Code.UNAUTHENTICATED && !tokenReadAgain && ready.token() != null) {
        tokenReadAgain = true;
        if (!ready.token().equals(connection.tokenAgain())) {
          continue;
        }
      }
      if (error.code() != Code.UNAVAILABLE
          || attempt >= connection.options().maxAttempts()
          || Thread.currentThread().isInterrupted()) {
        throw error;
      }
      attempt++;
      long asked = error.retryDelay().map(Duration::toNanos).orElse(0L);
      long wait = Math.max(asked, backoff.nextNanos(Backoff.CAP));
      if (wait >= deadline - System.nanoTime()) {
        throw error;
      }
      pause(wait);
    }
  }

  private static void pause(long nanos) {
    try {
      TimeUnit.NANOSECONDS.sleep(nanos);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new SlotsException(
          Code.CANCELLED, "", "interrupted while waiting", Map.of(), List.of(), null, e);
    }
  }
}
