package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status.Code;
import io.secretslots.client.FakeServer.Watch;
import io.secretslots.v1.WatchView;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class WatchedSetTest {
  private static final String A = "app/a";
  private static final String B = "app/b";
  private static final Events E1 = new Events("e1");
  private static final Events E2 = new Events("e2");

  private FakeServer server;
  private SecretSet set;

  @BeforeEach
  void start() throws IOException {
    server = FakeServer.start();
  }

  @AfterEach
  void stop() {
    if (set != null) {
      set.close();
    }
    server.close();
  }

  private CompletableFuture<SecretSet> opening(
      Timing timing, OpenOptions options, String... names) {
    return CompletableFuture.supplyAsync(
        () -> {
          Connection connection =
              new Connection(ConnectOptions.to(server.address(), Credentials.token("t0ken")));
          return WatchedSet.openOwning(connection, List.of(names), options, timing);
        },
        task -> new Thread(task, "opener").start());
  }

  private CompletableFuture<SecretSet> opening(String... names) {
    return opening(Timing.DEFAULT, OpenOptions.defaults().withTimeout(Until.BOUND), names);
  }

  private Watch open() throws Exception {
    CompletableFuture<SecretSet> opening = opening(A);
    Watch watch = server.nextWatch().send(E1.begin(5, A), E1.slot(5, A, 0, "v5"), E1.synced(5));
    set = opening.get();
    return watch;
  }

  private String current() {
    return set.handle(A).current().value().text();
  }

  private static SlotsException failureOf(CompletableFuture<SecretSet> opening) {
    return (SlotsException) assertThrows(CompletionException.class, opening::join).getCause();
  }

  @Test
  void opensWithOneStreamForAllNames() throws Exception {
    CompletableFuture<SecretSet> opening = opening(A, B, A);
    Watch watch = server.nextWatch();
    assertEquals(List.of(A, B), watch.request.getNamesList());
    assertEquals(WatchView.WATCH_VIEW_ALL_ENABLED, watch.request.getView());
    assertTrue(watch.request.getAllowMissing());
    assertEquals("", watch.request.getResumeToken());
    assertEquals("Bearer t0ken", watch.authorization);
    watch.send(E1.begin(2, A), E1.slot(1, A, 0, "a"), E1.begin(2, B), E1.notExisting(0, B));
    watch.send(E1.synced(2));
    watch.send(E1.slot(3, B, 0, "b"));
    assertFalse(opening.isDone());
    watch.send(E1.synced(3));
    set = opening.get();
    assertEquals("a", current());
    assertEquals("b", set.handle(B).current().value().text());
    assertFalse(set.stale());
    assertTrue(set.age().orElseThrow().compareTo(Until.BOUND) < 0);
  }

  @Test
  void givesUpInTimeAndNamesWhatIsMissing() throws Exception {
    server.cut();
    OpenOptions options = OpenOptions.defaults().withTimeout(Duration.ofMillis(300));
    SlotsException e = failureOf(opening(Timing.DEFAULT, options, B, A));
    assertEquals(Code.DEADLINE_EXCEEDED, e.code());
    assertEquals("SECRETS_MISSING", e.reason());
    assertEquals(B + "," + A, e.metadata().get("missing"));
  }

  @Test
  void refusalsEndOpenAtOnce() throws Exception {
    for (Code code : List.of(Code.PERMISSION_DENIED, Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)) {
      CompletableFuture<SecretSet> opening = opening(A);
      server.nextWatch().fail(FakeServer.error(code, "WHY"));
      SlotsException e = failureOf(opening);
      assertEquals(code, e.code());
      assertEquals("WHY", e.reason());
    }
    assertNull(server.pollWatch());
  }

  @Test
  void aRefusedTokenEndsOpenTheSecondTime() throws Exception {
    CompletableFuture<SecretSet> opening = opening(A);
    server.nextWatch().fail(FakeServer.error(Code.UNAUTHENTICATED, "TOKEN_UNKNOWN"));
    server.nextWatch().fail(FakeServer.error(Code.UNAVAILABLE, "DRAINING"));
    server.nextWatch().fail(FakeServer.error(Code.UNAUTHENTICATED, "TOKEN_UNKNOWN"));
    server.nextWatch().fail(FakeServer.error(Code.UNAUTHENTICATED, "TOKEN_UNKNOWN"));
    assertEquals("TOKEN_UNKNOWN", failureOf(opening).reason());
  }

  @Test
  void namesAreCheckedBeforeAnythingIsSent() {
    List<String> tooMany = Collections.nCopies(1001, "x").stream().toList();
    List<String> distinct = new ArrayList<>();
    for (int i = 0; i <= 1000; i++) {
      distinct.add("n" + i);
    }
    try (SlotsClient client = SlotsClient.connect(server.address(), Credentials.none())) {
      for (List<String> names :
          List.of(
              List.<String>of(),
              distinct,
              List.of(""),
              List.of("/a"),
              List.of("a//b"),
              List.of("a/.."),
              List.of("./a"),
              List.of("ä"),
              List.of("a b"),
              List.of("x".repeat(256)))) {
        SlotsException e =
            assertThrows(SlotsException.class, () -> client.open(names, OpenOptions.defaults()));
        assertEquals(Code.INVALID_ARGUMENT, e.code());
      }
      assertEquals(List.of("x"), SecretNames.checked(tooMany));
      assertEquals(List.of("a/...b/..c"), SecretNames.checked(List.of("a/...b/..c")));
    }
    assertNull(server.pollWatch());
  }

  @Test
  void goesOnAnsweringAndResumes() throws Exception {
    open();
    server.cut();
    assertEquals("v5", current());
    server.resume();
    Watch again = server.nextWatch();
    assertEquals("e1:5", again.request.getResumeToken());
    assertEquals("v5", current());
    again.send(E1.slot(7, A, 1, "v7"), E1.synced(7));
    Until.holds(() -> current().equals("v7"));
    again.end(); // as with a connection's age
    assertEquals("e1:7", server.nextWatch().request.getResumeToken());
  }

  @Test
  void noCodeStopsTheReconnecting() throws Exception {
    Watch watch = open();
    for (Code code :
        List.of(
            Code.PERMISSION_DENIED, Code.UNAUTHENTICATED, Code.INVALID_ARGUMENT, Code.INTERNAL)) {
      watch.fail(FakeServer.error(code, "WHY"));
      watch = server.nextWatch();
      assertEquals("v5", current());
    }
    watch.send(E1.slot(8, A, 1, "v8"), E1.synced(8));
    Until.holds(() -> current().equals("v8"));
  }

  @Test
  void aBadResumeTokenIsForgotten() throws Exception {
    open().fail(FakeServer.error(Code.UNAVAILABLE, "DRAINING"));
    Watch resumed = server.nextWatch();
    assertEquals("e1:5", resumed.request.getResumeToken());
    resumed.fail(FakeServer.error(Code.INVALID_ARGUMENT, "BAD_RESUME_TOKEN"));
    Watch fresh = server.nextWatch();
    assertEquals("", fresh.request.getResumeToken());
    fresh.send(E1.begin(6, A), E1.slot(6, A, 1, "v6"), E1.synced(6));
    Until.holds(() -> current().equals("v6"));
  }

  @Test
  void anOlderOrDamagedStreamIsLeft() throws Exception {
    Watch watch = open();
    List<Change> changes = new CopyOnWriteArrayList<>();
    set.handle(A).onChange(changes::add);
    watch.send(E1.slot(6, A, 6, "damaged", 1));
    Watch second = server.nextWatch();
    assertEquals("e1:5", second.request.getResumeToken());
    Until.holds(watch::isCancelled);
    second.send(E1.slot(9, A, 9, "older"), E1.synced(4));
    Watch third = server.nextWatch();
    assertEquals("", third.request.getResumeToken());
    third.send(E1.begin(6, A), E1.slot(5, A, 0, "v5"), E1.slot(6, A, 1, "v6"), E1.synced(6));
    Until.holds(() -> changes.size() == 1);
    assertEquals("v6", current());
    assertEquals(6, set.handle(A).current().revision());
  }

  @Test
  void aHistoryResetIsFollowed() throws Exception {
    Watch watch = open();
    List<Change> changes = new CopyOnWriteArrayList<>();
    set.handle(A).onChange(changes::add);
    watch.send(E2.historyReset(2));
    assertEquals("v5", current());
    watch.send(E2.begin(2, A), E2.slot(1, A, 0, "restored"), E2.synced(2));
    Until.holds(() -> changes.size() == 1);
    assertEquals("restored", current());
    assertEquals("e2", set.handle(A).current().epoch());
    assertEquals(1, set.handle(A).current().revision());
  }

  @Test
  void publishesAStepWholeBeforeAnyCallback() throws Exception {
    CompletableFuture<SecretSet> opening = opening(A, B);
    Watch watch = server.nextWatch();
    watch.send(
        E1.begin(1, A), E1.slot(1, A, 0, "1"), E1.begin(1, B), E1.slot(1, B, 0, "1"), E1.synced(1));
    set = opening.get();
    List<String> seen = new CopyOnWriteArrayList<>();
    set.handle(A).onChange(change -> seen.add(set.handle(B).current().value().text()));
    watch.send(E1.slot(2, A, 1, "2"), E1.slot(2, B, 1, "2"), E1.synced(2));
    Until.holds(() -> seen.equals(List.of("2")));
  }

  @Test
  void aSilentStreamIsGivenUp() throws Exception {
    Timing impatient =
        new Timing(
            Duration.ofMillis(300),
            Duration.ofMillis(300),
            Duration.ofSeconds(5),
            Duration.ofSeconds(60),
            Duration.ofMillis(200),
            Duration.ofSeconds(2),
            Duration.ofMinutes(1));
    CompletableFuture<SecretSet> opening =
        opening(impatient, OpenOptions.defaults().withTimeout(Until.BOUND), A);
    Until.holds(server.nextWatch()::isCancelled); // it was told nothing at all
    while (!opening.isDone()) {
      Watch next = server.pollWatch();
      if (next != null) {
        next.send(E1.begin(5, A), E1.slot(5, A, 0, "v5"), E1.synced(5));
      }
      Thread.sleep(2);
    }
    set = opening.get();
    Until.holds(server.nextWatch()::isCancelled); // nothing followed on the one before
    assertEquals("v5", current());
  }

  @Test
  void closingLeavesNothingBehindAndHandlesAnswer() throws Exception {
    Watch watch = open();
    SecretHandle handle = set.handle(A);
    set.close();
    set.close();
    Until.holds(watch::isCancelled);
    assertEquals("v5", handle.current().value().text());
    Until.holds(() -> watchThreads() == 0);

    CompletableFuture<SecretSet> opening = opening(A);
    server.nextWatch().fail(FakeServer.error(Code.PERMISSION_DENIED, "WHY"));
    failureOf(opening);
    Until.holds(() -> watchThreads() == 0);
  }

  private static long watchThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().equals("secretslots-watch"))
        .count();
  }

  @Test
  void closingTheClientClosesItsSets() throws Exception {
    SlotsClient client = SlotsClient.connect(server.address(), Credentials.none());
    CompletableFuture<SecretSet> opening =
        CompletableFuture.supplyAsync(() -> client.open(A), task -> new Thread(task).start());
    Watch watch = server.nextWatch().send(E1.begin(1, A), E1.slot(1, A, 0, "x"), E1.synced(1));
    set = opening.get();
    client.close();
    Until.holds(watch::isCancelled);
    assertEquals("x", current());
    assertEquals(
        "CLIENT_CLOSED", assertThrows(SlotsException.class, () -> client.getSecret(A)).reason());
  }
}
