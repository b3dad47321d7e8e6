package io.secretslots.client;

import java.time.Duration;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * How to reach the server and as whom. Immutable.
 *
 * @param address {@code host:port}, {@code [v6]:port} or {@code unix:PATH}
 * @param credentials who we are
 * @param timeout deadline of a unary call, all its attempts together
 * @param maxAttempts attempts of a unary call that fails UNAVAILABLE, at least 1
 * @param onWarning takes what an operator should know; never given a value or a token
 */
public record ConnectOptions(
    String address,
    Credentials credentials,
    Duration timeout,
    int maxAttempts,
    Consumer<String> onWarning) {
  /** Checks each on its own. */
  public ConnectOptions {
    Objects.requireNonNull(address);
    Objects.requireNonNull(credentials);
    Objects.requireNonNull(onWarning);
    checkTimeout(timeout);
    if (maxAttempts < 1) {
      throw SlotsException.invalid("maxAttempts must be at least 1");
    }
  }

  /** The usual: 5 s, 5 attempts, no warnings. */
  public static ConnectOptions to(String address, Credentials credentials) {
    return new ConnectOptions(address, credentials, Duration.ofSeconds(5), 5, warning -> {});
  }

  /** Another deadline of unary calls. */
  public ConnectOptions withTimeout(Duration timeout) {
    return new ConnectOptions(address, credentials, timeout, maxAttempts, onWarning);
  }

  /** Another number of attempts. */
  public ConnectOptions withMaxAttempts(int maxAttempts) {
    return new ConnectOptions(address, credentials, timeout, maxAttempts, onWarning);
  }

  /** Takes warnings, such as to a logger. */
  public ConnectOptions withWarnings(Consumer<String> onWarning) {
    return new ConnectOptions(address, credentials, timeout, maxAttempts, onWarning);
  }

  static Duration checkTimeout(Duration timeout) {
    if (timeout.isNegative() || timeout.isZero()) {
      throw SlotsException.invalid("a timeout must be above zero");
    }
    return timeout;
  }
}
