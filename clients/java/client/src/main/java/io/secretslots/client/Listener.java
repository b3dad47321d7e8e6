package io.secretslots.client;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.function.Consumer;

/** One subscription: its changes wait in line and run one at a time. */
final class Listener implements Subscription {
  private final SecretSet set;
  private final String name;
  private final Consumer<? super Change> consumer;
  private final Consumer<Listener> onClose;
  private final Queue<Change> waiting = new ArrayDeque<>();
  private boolean running;
  private boolean closed;

  Listener(
      SecretSet set, String name, Consumer<? super Change> consumer, Consumer<Listener> onClose) {
    this.set = set;
    this.name = name;
    this.consumer = consumer;
    this.onClose = onClose;
  }

  synchronized void offer(Change change) {
    if (closed) {
      return;
    }
    waiting.add(change);
    if (!running) {
      running = true;
      set.execute(this::drain);
    }
  }

  private void drain() {
    for (Change change = next(); change != null; change = next()) {
      try {
        consumer.accept(change);
      } catch (Exception | Error e) {
        // Its message may quote the value.
        set.warn("a callback of " + name + " failed: " + e.getClass().getName());
      }
    }
  }

  private synchronized Change next() {
    Change change = waiting.poll();
    running = change != null;
    return change;
  }

  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      waiting.clear();
    }
    onClose.accept(this);
  }
}
