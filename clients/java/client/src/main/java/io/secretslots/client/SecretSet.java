package io.secretslots.client;

import io.grpc.Status.Code;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Consumer;

/** Secrets that are kept the newest together, each behind a {@link SecretHandle}. */
public abstract sealed class SecretSet implements AutoCloseable permits WatchedSet, FakeSecrets {
  private final Map<String, SecretHandle> handles = new LinkedHashMap<>();
  private final Map<String, List<Listener>> listeners = new ConcurrentHashMap<>();
  private final Set<Derived<?>> derived = ConcurrentHashMap.newKeySet();
  // For callbacks and builds, so that none of them runs where the stream is read.
  private final ExecutorService executor =
      Executors.newCachedThreadPool(
          task -> {
            Thread thread = new Thread(task, "secretslots-callback");
            thread.setDaemon(true);
            return thread;
          });

  SecretSet(Collection<String> names) {
    for (String name : names) {
      handles.put(name, new SecretHandle(name, this, null));
      listeners.put(name, new CopyOnWriteArrayList<>());
    }
  }

  /**
   * Follows secrets with a client of their own: returns when each has a value, and {@link #close}
   * ends the client too. As {@link SlotsClient#open(List, OpenOptions)}.
   */
  public static SecretSet open(String address, Credentials credentials, String... names) {
    Connection connection = new Connection(ConnectOptions.to(address, credentials));
    try {
      return WatchedSet.openOwning(
          connection, List.of(names), OpenOptions.defaults(), Timing.DEFAULT);
    } catch (RuntimeException | Error e) {
      connection.close();
      throw e;
    }
  }

  /**
   * The handle of a secret.
   *
   * @throws SlotsException INVALID_ARGUMENT with reason NAME_NOT_DECLARED when the set was opened
   *     without that name
   */
  public final SecretHandle handle(String name) {
    SecretHandle handle = handles.get(name);
    if (handle == null) {
      throw new SlotsException(
          Code.INVALID_ARGUMENT,
          "NAME_NOT_DECLARED",
          "the set was opened without " + name,
          Map.of("name", name));
    }
    return handle;
  }

  /** The secrets' names, in the order given. */
  public final Set<String> names() {
    return Collections.unmodifiableSet(handles.keySet());
  }

  /** How long ago the server was last heard; empty when it never was. */
  public abstract Optional<Duration> age();

  /** Whether the values come from the cache and the server was not heard to confirm them. */
  public abstract boolean stale();

  /** Ends the stream and closes what was derived. Handles go on answering. Idempotent. */
  @Override
  public abstract void close();

  /** Reports what an operator should know. */
  abstract void warn(String warning);

  /** Puts the first states in place: no change, so no callback. */
  final void seed(Collection<SecretState> states) {
    states.forEach(state -> handles.get(state.name()).publish(state));
  }

  /**
   * Publishes states of one step: all of them before the first callback runs. Subscribing waits, so
   * that a listener gets either a state at its start or the change to it; reading never does.
   */
  final synchronized void publish(Collection<SecretState> states) {
    List<Change> changes = new ArrayList<>();
    for (SecretState state : states) {
      SecretHandle handle = handles.get(state.name());
      SecretState previous = handle.state();
      handle.publish(state);
      if (previous != null) {
        changes.add(Change.between(previous, state));
      }
    }
    for (Change change : changes) {
      listeners.get(change.name()).forEach(listener -> listener.offer(change));
    }
  }

  final synchronized Subscription subscribe(String name, Consumer<? super Change> consumer) {
    List<Listener> all = listeners.get(name);
    Listener listener = new Listener(this, name, consumer, all::remove);
    all.add(listener);
    return listener;
  }

  /** Runs it soon; not at all once the set is closed. */
  final void execute(Runnable task) {
    try {
      executor.execute(task);
    } catch (RejectedExecutionException e) {
      // Closed: nobody waits for callbacks any more.
    }
  }

  final void attach(Derived<?> resource) {
    derived.add(resource);
  }

  final void detach(Derived<?> resource) {
    derived.remove(resource);
  }

  /** Ends callbacks and closes what was derived. */
  final void release() {
    listeners.values().forEach(all -> all.forEach(Listener::close));
    derived.forEach(Derived::close);
    executor.shutdown();
  }

  @Override
  public String toString() {
    return getClass().getSimpleName() + handles.values();
  }
}
