package io.secretslots.client;

import io.grpc.Status.Code;
import io.secretslots.v1.WatchSlotsRequest;
import io.secretslots.v1.WatchSlotsResponse;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Follows the server on one thread: one stream after another, with a backoff in between. */
final class WatchLoop implements Runnable {
  /** What happens, told on the loop's thread. */
  interface Events {
    /** The server brought the replica up to date. */
    void received(Replica.Effect effect);

    /** A stream ended; another follows. */
    void failed(SlotsException error);
  }

  /** Codes that say as much as UNAVAILABLE: try again. */
  private static final Set<Code> AWAY =
      EnumSet.of(
          Code.UNAVAILABLE, Code.CANCELLED, Code.INTERNAL, Code.UNKNOWN, Code.DEADLINE_EXCEEDED);

  private final Connection connection;
  private final WatchSlotsRequest request;
  private final Replica replica;
  private final Timing timing;
  private final Events events;
  private final Thread thread = new Thread(this, "secretslots-watch");
  private final CountDownLatch stopped = new CountDownLatch(1);

  private volatile WatchStream stream;
  // The last message of the server: null for never.
  private volatile Long heardAt;

  WatchLoop(
      Connection connection,
      WatchSlotsRequest request,
      Replica replica,
      Timing timing,
      Events events) {
    this.connection = connection;
    this.request = request;
    this.replica = replica;
    this.timing = timing;
    this.events = events;
    thread.setDaemon(true);
  }

  static boolean isAway(SlotsException error) {
    return AWAY.contains(error.code());
  }

  void start() {
    thread.start();
  }

  /** Time since the server was last heard. */
  Optional<Duration> age() {
    Long at = heardAt;
    return at == null ? Optional.empty() : Optional.of(Duration.ofNanos(System.nanoTime() - at));
  }

  /** Ends the stream and waits until the thread is gone. */
  void stop() {
    stopped.countDown();
    WatchStream last = stream;
    if (last != null) {
      last.close();
    }
    if (Thread.currentThread() == thread) {
      return; // called by a token callback or a warning's sink
    }
    try {
      thread.join(TimeUnit.SECONDS.toMillis(5));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean isStopped() {
    return stopped.getCount() == 0;
  }

  @Override
  public void run() {
    Backoff backoff = new Backoff();
    boolean tokenWasBad = false;
    try {
      while (!isStopped()) {
        long startedAt = System.nanoTime();
        Attempt attempt = new Attempt();
        SlotsException error = attempt.run();
        if (isStopped()) {
          return;
        }
        connection.warn("the watch ended, another follows: " + error);
        events.failed(error);
        boolean tokenIsBad = error.reason().equals("BAD_RESUME_TOKEN");
        if (tokenIsBad) {
          replica.forgetToken();
        }
        if (attempt.delivered && System.nanoTime() - startedAt >= timing.healthy().toNanos()) {
          backoff.reset();
        }
        boolean atOnce = tokenIsBad && !tokenWasBad;
        tokenWasBad = tokenIsBad;
        if (!atOnce) {
          stopped.await(backoff.nextNanos(cap(error)), TimeUnit.NANOSECONDS);
        }
      }
    } catch (InterruptedException e) {
      // Nobody but the machinery around us interrupts this thread: it wants it to end.
    }
  }

  /** A server that was just there is approached faster than one that is long gone. */
  private Duration cap(SlotsException error) {
    boolean recent = age().filter(age -> age.compareTo(timing.recent()) < 0).isPresent();
    return isAway(error) && recent ? timing.recentCap() : Backoff.CAP;
  }

  /** One stream, from its start to why it ended. */
  private final class Attempt {
    /** Whether a {@code synced} or a {@code progress} came. */
    boolean delivered;

    SlotsException run() throws InterruptedException {
      replica.beginStream();
      try {
        Connection.Ready ready = connection.forStream();
        WatchSlotsRequest now = request.toBuilder().setResumeToken(replica.resumeToken()).build();
        try (WatchStream opened = WatchStream.start(ready.channel(), now)) {
          stream = opened;
          return isStopped() ? Connection.closedError() : read(opened);
        } finally {
          stream = null;
        }
      } catch (SlotsException e) {
        return e;
      } catch (RuntimeException e) {
        return new SlotsException(
            Code.INTERNAL, "", "the stream failed", Map.of(), List.of(), null, e);
      }
    }

    private SlotsException read(WatchStream opened) throws InterruptedException {
      Duration patience = timing.firstMessage();
      while (true) {
        WatchSlotsResponse event = opened.next(patience);
        if (event == null) {
          return away("the server said nothing for " + patience.toSeconds() + " s");
        }
        heardAt = System.nanoTime();
        patience = timing.silence();
        Replica.Effect effect;
        try {
          effect = replica.receive(event);
        } catch (Replica.BrokenStream e) {
          return away(e.getMessage());
        }
        if (effect != Replica.Effect.NONE) {
          delivered = true;
          events.received(effect);
        }
      }
    }

    private SlotsException away(String message) {
      return new SlotsException(Code.UNAVAILABLE, "", message, Map.of());
    }
  }
}
