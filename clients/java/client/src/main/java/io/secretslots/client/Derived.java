package io.secretslots.client;

import java.util.function.Supplier;

/**
 * A resource that follows a secret; see {@link SecretHandle#derived}.
 *
 * @param <T> the resource
 */
public final class Derived<T> implements Supplier<T>, AutoCloseable {
  private final SecretHandle handle;
  private final SecretSet set;
  private final SecretHandle.Build<? extends T, ?> build;
  private final SecretHandle.Close<? super T> close;
  private final Subscription subscription;

  private volatile T resource;
  // Guarded by this.
  private SecretVersion builtOf;
  private boolean running = true; // the first build, on the caller's thread
  private boolean dirty;
  private boolean closed;

  private Derived(
      SecretHandle handle,
      SecretSet set,
      SecretHandle.Build<? extends T, ?> build,
      SecretHandle.Close<? super T> close) {
    this.handle = handle;
    this.set = set;
    this.build = build;
    this.close = close;
    subscription = handle.onChange(change -> changed());
  }

  static <T, X extends Exception> Derived<T> start(
      SecretHandle handle,
      SecretSet set,
      SecretHandle.Build<? extends T, X> build,
      SecretHandle.Close<? super T> close)
      throws X {
    Derived<T> derived = new Derived<>(handle, set, build, close);
    boolean built = false;
    try {
      SecretVersion version = handle.current();
      derived.replace(build.build(version), version);
      built = true;
    } finally {
      if (!built) {
        derived.subscription.close();
      }
    }
    set.attach(derived);
    derived.rest();
    return derived;
  }

  /** The newest resource that works; a plain read. After {@link #close}: the last one. */
  @Override
  public T get() {
    return resource;
  }

  private synchronized void changed() {
    dirty = true;
    notifyAll(); // a build that waits for another attempt has something better to do
    if (!running && !closed) {
      running = true;
      set.execute(this::rebuild);
    }
  }

  /** After a build: what changed meanwhile is next. */
  private synchronized void rest() {
    running = false;
    if (dirty) {
      changed();
    }
  }

  private void rebuild() {
    Backoff backoff = new Backoff();
    while (true) {
      SecretVersion wanted = next(backoff);
      if (wanted == null) {
        return;
      }
      try {
        replace(build.build(wanted), wanted);
      } catch (Exception | Error e) {
        // Its message may quote the value.
        set.warn(
            "what is derived of %s can't be built, the old one stays: %s"
                .formatted(handle.name(), e.getClass().getName()));
        pause(backoff);
      }
    }
  }

  /** The version to build of; null when the resource is of the newest, or none is wanted. */
  private synchronized SecretVersion next(Backoff backoff) {
    if (dirty) {
      dirty = false;
      backoff.reset();
    }
    SecretState state = handle.state();
    // While the secret is absent or failed, the old one stays.
    if (!closed && state.resolves()) {
      SecretVersion version = state.current();
      if (version.slot() != builtOf.slot() || !version.value().equals(builtOf.value())) {
        return version;
      }
    }
    running = false;
    return null;
  }

  private void replace(T next, SecretVersion version) {
    T old;
    synchronized (this) {
      if (closed) {
        old = next;
      } else {
        old = resource;
        resource = next;
        builtOf = version;
      }
    }
    discard(old);
  }

  private void discard(T old) {
    if (old == null) {
      return;
    }
    try {
      close.close(old);
    } catch (Exception | Error e) {
      set.warn(
          "what was derived of %s can't be closed: %s"
              .formatted(handle.name(), e.getClass().getName()));
    }
  }

  private synchronized void pause(Backoff backoff) {
    long until = System.nanoTime() + backoff.nextNanos(Backoff.CAP);
    try {
      for (long left = until - System.nanoTime();
          left > 0 && !dirty && !closed;
          left = until - System.nanoTime()) {
        wait(left / 1_000_000, (int) (left % 1_000_000));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Closes the resource; nothing is built from now on. Idempotent. */
  @Override
  public void close() {
    T last;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      last = resource;
      notifyAll();
    }
    subscription.close();
    set.detach(this);
    discard(last);
  }

  @Override
  public String toString() {
    return "Derived[" + handle.name() + "]";
  }
}
