package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status.Code;
import io.secretslots.client.FakeServer.Watch;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * W14 under a server that cuts streams, tells old things, damages values and resets its history: no
 * value goes back within an epoch, one callback per change, and the last value arrives.
 */
class ChaosTest {
  private static final String NAME = "app/db";
  private static final int STEPS = 400;

  /** The backoff of the real one would make most of the time a wait. */
  private static final Timing BRISK =
      new Timing(
          Duration.ofSeconds(20),
          Duration.ofSeconds(40),
          Duration.ZERO,
          Duration.ofSeconds(60),
          Duration.ofMillis(5),
          Duration.ofSeconds(2),
          Duration.ofMinutes(1));

  /** A store of one secret with revisions, whose server is not to be trusted. */
  private static final class Chaos {
    final Random random;
    final FakeServer server;
    final TreeMap<Long, Long> slots = new TreeMap<>(); // number to revision
    int epochs = 1;
    long revision;
    Watch watch;

    Chaos(long seed, FakeServer server) {
      random = new Random(seed);
      this.server = server;
      put();
    }

    Events events() {
      return new Events("e" + epochs);
    }

    void put() {
      revision++;
      slots.put((long) random.nextInt(5), revision);
    }

    static String value(long revision) {
      return "v" + revision;
    }

    /** Tells the whole state. */
    void tellAll() {
      Events e = events();
      watch.send(e.begin(revision, NAME));
      slots.forEach((number, at) -> watch.send(e.slot(at, NAME, number, value(at))));
      watch.send(e.synced(revision));
    }

    /** Takes the stream that the client opened after it left the one before, and starts it. */
    void reopen() throws InterruptedException {
      watch = server.nextWatch();
      for (Watch newer = server.pollWatch(); newer != null; newer = server.pollWatch()) {
        watch = newer;
      }
      String token = watch.request.getResumeToken();
      if (!token.isEmpty() && !token.startsWith("e" + epochs + ":")) {
        watch.send(events().historyReset(revision));
      }
      tellAll();
    }

    void step() throws InterruptedException {
      Events e = events();
      switch (random.nextInt(12)) {
        case 0 -> {
          watch.fail(FakeServer.error(Code.UNAVAILABLE, "DRAINING"));
          reopen();
        }
        case 1 -> {
          watch.end();
          reopen();
        }
        case 2 -> { // cut in the middle of a step: nothing of it may show
          watch.send(e.slot(revision + 100, NAME, 4, "never committed"));
          watch.fail(FakeServer.error(Code.INTERNAL, ""));
          reopen();
        }
        case 3 -> { // an old step
          if (revision > 1) {
            watch.send(e.slot(revision - 1, NAME, 4, "older"), e.synced(revision - 1));
            reopen();
          }
        }
        case 4 -> { // an old event inside of a new step
          long number = slots.lastKey();
          long at = slots.get(number);
          if (at > 1) {
            watch.send(e.slot(at - 1, NAME, number, "older"));
          }
          tellAll();
        }
        case 5 -> { // damage
          watch.send(e.slot(revision, NAME, 4, "damaged", 1));
          reopen();
        }
        case 6 -> { // a restored store
          epochs++;
          revision = random.nextInt(3);
          slots.clear();
          put();
          watch.send(events().historyReset(revision));
          tellAll();
        }
        case 7 -> watch.send(e.progress(revision));
        case 8 -> {
          if (slots.size() > 1) {
            revision++;
            long number = slots.pollLastEntry().getKey();
            watch.send(e.removed(revision, NAME, number), e.synced(revision));
          }
        }
        default -> {
          put();
          long number =
              slots.entrySet().stream()
                  .filter(entry -> entry.getValue() == revision)
                  .findFirst()
                  .orElseThrow()
                  .getKey();
          watch.send(e.slot(revision, NAME, number, value(revision)), e.synced(revision));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void neverGoesBack(long seed) throws Exception {
    try (FakeServer server = FakeServer.start()) {
      Chaos chaos = new Chaos(seed, server);
      ConnectOptions options = ConnectOptions.to(server.address(), Credentials.none());
      CompletableFuture<SecretSet> opening =
          CompletableFuture.supplyAsync(
              () ->
                  WatchedSet.openOwning(
                      new Connection(options),
                      List.of(NAME),
                      OpenOptions.defaults().withTimeout(Until.BOUND),
                      BRISK),
              task -> new Thread(task, "opener").start());
      chaos.reopen();
      try (SecretSet set = opening.get()) {
        SecretHandle handle = set.handle(NAME);
        List<Change> changes = new CopyOnWriteArrayList<>();
        handle.onChange(changes::add);
        AtomicBoolean stop = new AtomicBoolean();
        AtomicInteger reads = new AtomicInteger();
        List<String> wrong = new CopyOnWriteArrayList<>();
        Thread reader = new Thread(() -> read(handle, stop, reads, wrong));
        reader.start();
        for (int i = 0; i < STEPS; i++) {
          chaos.step();
        }
        chaos.put();
        chaos.tellAll();
        Until.holds(
            () ->
                handle.state().epoch().equals("e" + chaos.epochs)
                    && handle.state().revision() >= chaos.revision);
        stop.set(true);
        reader.join();
        assertEquals(List.of(), wrong);
        assertTrue(reads.get() > 0);
        long top = chaos.slots.lastEntry().getValue();
        assertEquals(Chaos.value(top), handle.current().value().text());
        Until.holds(() -> changes.get(changes.size() - 1).current() == handle.state());
        assertOneCallbackPerChange(changes);
      }
    }
  }

  private static void read(
      SecretHandle handle, AtomicBoolean stop, AtomicInteger reads, List<String> wrong) {
    SecretState last = handle.state();
    while (!stop.get()) {
      SecretState now = handle.state();
      SecretVersion version = now.current();
      if (now.epoch().equals(last.epoch()) && now.revision() < last.revision()) {
        wrong.add(last.revision() + " then " + now.revision());
      }
      if (!version.value().text().startsWith("v")) {
        wrong.add(version.value().text());
      }
      last = now;
      reads.incrementAndGet();
      Thread.yield();
    }
  }

  private static void assertOneCallbackPerChange(List<Change> changes) {
    List<SecretState> states = new ArrayList<>();
    for (Change change : changes) {
      if (!states.isEmpty()) {
        assertEquals(states.get(states.size() - 1), change.previous(), "a change was left out");
      }
      assertTrue(change.current() != change.previous());
      assertEquals(false, change.current().sameContent(change.previous()), "told without a change");
      states.add(change.current());
    }
  }

  @Test
  void survivesAServerThatIsKilledAgainAndAgain() throws Exception {
    try (FakeServer server = FakeServer.start()) {
      Chaos chaos = new Chaos(9, server);
      CompletableFuture<SecretSet> opening =
          CompletableFuture.supplyAsync(
              () -> SecretSet.open(server.address(), Credentials.none(), NAME),
              task -> new Thread(task, "opener").start());
      chaos.reopen();
      try (SecretSet set = opening.get()) {
        for (int i = 0; i < 5; i++) {
          server.cut();
          chaos.put();
          server.resume();
          chaos.reopen();
          Until.holds(() -> set.handle(NAME).state().revision() == chaos.revision);
        }
      }
    }
  }
}
