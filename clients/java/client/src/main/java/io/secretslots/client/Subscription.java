package io.secretslots.client;

/** Ends with {@link #close}; a call that was on its way may still be made. */
public interface Subscription extends AutoCloseable {
  @Override
  void close();
}
