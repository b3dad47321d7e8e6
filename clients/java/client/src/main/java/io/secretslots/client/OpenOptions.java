package io.secretslots.client;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;

/** How to open a set. Immutable; prints no key. */
public final class OpenOptions {
  private static final int KEY_BYTES = 32;

  private final Duration timeout;
  private final View view;
  private final Path cachePath;
  private final byte[] cacheKey;

  private OpenOptions(Duration timeout, View view, Path cachePath, byte[] cacheKey) {
    this.timeout = timeout;
    this.view = view;
    this.cachePath = cachePath;
    this.cacheKey = cacheKey;
  }

  /** 10 s, all enabled slots, no cache. */
  public static OpenOptions defaults() {
    return new OpenOptions(Duration.ofSeconds(10), View.ALL_ENABLED, null, null);
  }

  /** How long to wait until every secret has a value. */
  public OpenOptions withTimeout(Duration timeout) {
    return new OpenOptions(ConnectOptions.checkTimeout(timeout), view, cachePath, cacheKey);
  }

  /** Which slots to follow. */
  public OpenOptions withView(View view) {
    return new OpenOptions(timeout, Objects.requireNonNull(view), cachePath, cacheKey);
  }

  /**
   * Keeps an encrypted copy in this file, so that a program starts while the server is down.
   *
   * @param key 32 bytes
   */
  public OpenOptions withCache(Path path, byte[] key) {
    Objects.requireNonNull(path);
    if (key.length != KEY_BYTES) {
      throw SlotsException.invalid("the cache key must have " + KEY_BYTES + " bytes");
    }
    return new OpenOptions(timeout, view, path, key.clone());
  }

  Duration timeout() {
    return timeout;
  }

  View view() {
    return view;
  }

  Path cachePath() {
    return cachePath;
  }

  byte[] cacheKey() {
    return cacheKey;
  }

  @Override
  public String toString() {
    return "OpenOptions[timeout=%s, view=%s, cachePath=%s]".formatted(timeout, view, cachePath);
  }
}
