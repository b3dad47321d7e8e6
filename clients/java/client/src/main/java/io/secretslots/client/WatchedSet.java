package io.secretslots.client;

import io.grpc.Status.Code;
import io.secretslots.v1.WatchSlotsRequest;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/** A set that follows the server. */
final class WatchedSet extends SecretSet implements WatchLoop.Events {
  private final Connection connection;
  private final boolean ownsConnection;
  private final List<SecretHandle> handles;
  private final Replica replica;
  private final Cache cache;
  private final Opening opening;
  private final WatchLoop loop;
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile boolean opened;
  private volatile boolean stale;

  static SecretSet open(
      Connection connection, Collection<String> names, OpenOptions options, Timing timing) {
    return open(connection, false, names, options, timing);
  }

  /** Closing the set closes the connection too. */
  static SecretSet openOwning(
      Connection connection, Collection<String> names, OpenOptions options, Timing timing) {
    return open(connection, true, names, options, timing);
  }

  private static SecretSet open(
      Connection connection,
      boolean ownsConnection,
      Collection<String> names,
      OpenOptions options,
      Timing timing) {
    WatchedSet set =
        new WatchedSet(connection, ownsConnection, SecretNames.checked(names), options, timing);
    boolean open = false;
    try {
      connection.attach(set);
      set.loop.start();
      set.opening.await(options.timeout());
      set.opened = true;
      open = true;
      return set;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new SlotsException(
          Code.CANCELLED, "", "interrupted while opening", Map.of(), List.of(), null, e);
    } finally {
      if (!open) {
        set.close();
      }
    }
  }

  private WatchedSet(
      Connection connection,
      boolean ownsConnection,
      List<String> names,
      OpenOptions options,
      Timing timing) {
    super(names);
    this.connection = connection;
    this.ownsConnection = ownsConnection;
    handles = names.stream().map(this::handle).toList();
    cache =
        options.cachePath() == null
            ? null
            : new Cache(
                new CacheFile(options.cachePath(), options.cacheKey()),
                options.view(),
                timing.progressWrite(),
                this::execute,
                this::warn);
    Replica.Snapshot known = cache == null ? Replica.Snapshot.EMPTY : cache.load(names);
    seed(known.states().values());
    stale = !known.states().isEmpty();
    replica = new Replica(names, known);
    opening = new Opening(handles, everyNameResolves(), timing.cacheGrace());
    WatchSlotsRequest request =
        WatchSlotsRequest.newBuilder()
            .addAllNames(names)
            .setView(options.view().wire)
            .setAllowMissing(true)
            .build();
    loop = new WatchLoop(connection, request, replica, timing, this);
  }

  private boolean everyNameResolves() {
    return handles.stream().allMatch(h -> h.state() != null && h.state().resolves());
  }

  @Override
  public void received(Replica.Effect effect) {
    boolean synced = effect == Replica.Effect.SYNCED;
    if (synced) {
      publish(replica.changed());
    }
    stale = false;
    boolean complete = everyNameResolves();
    if (cache != null && (opened || complete)) {
      cache.offer(replica.snapshot(), synced);
      if (!opened && synced) {
        cache.flush(); // open does not return without it
      }
    }
    if (!opened) {
      opening.received(complete);
    }
  }

  @Override
  public void failed(SlotsException error) {
    if (!opened) {
      opening.failed(error);
    }
  }

  @Override
  public Optional<Duration> age() {
    return loop.age();
  }

  @Override
  public boolean stale() {
    return stale;
  }

  @Override
  void warn(String warning) {
    connection.warn(warning);
  }

  @Override
  public void close() {
    if (closed.getAndSet(true)) {
      return;
    }
    loop.stop();
    release();
    if (cache != null) {
      cache.flush();
    }
    connection.detach(this);
    if (ownsConnection) {
      connection.close();
    }
  }
}
