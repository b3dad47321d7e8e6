package io.secretslots.client;

import java.util.List;
import java.util.function.Consumer;

/**
 * The always-newest state of one secret. Reading takes one volatile load: no lock, no I/O, and no
 * allocation. May be read by any thread, also after its set was closed: it answers with what it
 * had.
 */
public final class SecretHandle {
  /** Builds what is derived from a secret. */
  @FunctionalInterface
  public interface Build<T, X extends Exception> {
    /** A resource that uses this version. */
    T build(SecretVersion version) throws X;
  }

  /** Closes what was derived from a secret. */
  @FunctionalInterface
  public interface Close<T> {
    /** Called once for each resource, after the one that takes its place works. */
    void close(T resource) throws Exception;
  }

  private final String name;
  private final SecretSet set;
  private volatile SecretState state;

  SecretHandle(String name, SecretSet set, SecretState state) {
    this.name = name;
    this.set = set;
    this.state = state;
  }

  /** The secret's name. */
  public String name() {
    return name;
  }

  /** Everything that is known, without errors. */
  public SecretState state() {
    return state;
  }

  void publish(SecretState next) {
    state = next;
  }

  /**
   * The value in the slot with the largest number.
   *
   * @throws SlotsException NOT_FOUND when the server said that there is none (SECRET_NOT_FOUND,
   *     NO_EFFECTIVE_SLOT), DATA_LOSS when it can't open that slot; never because it is away
   */
  public SecretVersion current() {
    return state.current();
  }

  /**
   * The value in the slot with the largest number at or below {@code t}.
   *
   * @throws SlotsException as {@link #current}, and NOT_FOUND NO_EFFECTIVE_SLOT when no slot is at
   *     or below {@code t}
   */
  public SecretVersion effectiveAt(long t) {
    return state.effectiveAt(t);
  }

  /**
   * What a verifier should accept around a roll-over: every value that is effective somewhere from
   * {@code t - overlap} to {@code t + overlap}, the largest slot first, no value twice, slots that
   * can't be opened left out; empty when there is none.
   */
  public List<SecretVersion> acceptable(long t, long overlap) {
    return state.acceptable(t, overlap);
  }

  /**
   * Calls {@code listener} once for each change applied from now on: in order, one at a time, on a
   * thread of the set. A slow listener delays its own later calls and nothing else; an exception in
   * it is reported as a warning.
   */
  public Subscription onChange(Consumer<? super Change> listener) {
    return set.subscribe(name, listener);
  }

  /**
   * A resource built from the current version: a connection pool, a signer. The first is built
   * here. When the slot or the value changes, a new one is built on a thread of the set and then
   * takes the place of the old one, which is closed; while building fails, the old one stays and
   * building is tried again.
   *
   * @throws X what the first build throws
   * @throws SlotsException as {@link #current}
   */
  public <T, X extends Exception> Derived<T> derived(
      Build<? extends T, X> build, Close<? super T> close) throws X {
    return Derived.start(this, set, build, close);
  }

  /** As {@link #derived(Build, Close)}, for what closes itself. */
  public <T extends AutoCloseable, X extends Exception> Derived<T> derived(
      Build<? extends T, X> build) throws X {
    return derived(build, AutoCloseable::close);
  }

  @Override
  public String toString() {
    return "SecretHandle[" + state + "]";
  }
}
