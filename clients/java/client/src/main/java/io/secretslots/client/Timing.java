package io.secretslots.client;

import java.time.Duration;

/**
 * How patient a set is.
 *
 * @param firstMessage a new stream's time for its first message
 * @param silence a stream without any message for so long is given up
 * @param healthy a stream that lived so long and delivered starts the backoff anew
 * @param recent a server heard less than so long ago is approached with {@code recentCap}
 * @param recentCap cap of the backoff towards a server that was just there
 * @param cacheGrace how long open waits for the server before it takes the cache
 * @param progressWrite progress alone is written to the cache at most so often
 */
record Timing(
    Duration firstMessage,
    Duration silence,
    Duration healthy,
    Duration recent,
    Duration recentCap,
    Duration cacheGrace,
    Duration progressWrite) {
  static final Timing DEFAULT =
      new Timing(
          Duration.ofSeconds(20),
          Duration.ofSeconds(40),
          Duration.ofSeconds(5),
          Duration.ofSeconds(60),
          Duration.ofSeconds(2),
          Duration.ofSeconds(2),
          Duration.ofMinutes(1));
}
