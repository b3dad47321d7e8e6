package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status.Code;
import io.secretslots.client.FakeServer.Watch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CacheTest {
  private static final String A = "app/a";
  private static final String B = "app/b";
  private static final byte[] KEY = new byte[32];
  private static final Events E1 = new Events("e1");

  /** Does not take the cache because this machine is slow. */
  private static final Timing PATIENT =
      new Timing(
          Duration.ofSeconds(20),
          Duration.ofSeconds(40),
          Duration.ofSeconds(5),
          Duration.ofSeconds(60),
          Duration.ofSeconds(2),
          Until.BOUND,
          Duration.ofMinutes(1));

  @TempDir Path dir;
  private final List<String> warnings = new CopyOnWriteArrayList<>();
  private Path path;
  private FakeServer server;
  private SecretSet set;

  @BeforeEach
  void start() throws IOException {
    path = dir.resolve("cache");
    server = FakeServer.start();
  }

  @AfterEach
  void stop() {
    if (set != null) {
      set.close();
    }
    server.close();
  }

  private CompletableFuture<SecretSet> opening(OpenOptions options, String... names) {
    return opening(Timing.DEFAULT, options, names);
  }

  private CompletableFuture<SecretSet> opening(
      Timing timing, OpenOptions options, String... names) {
    ConnectOptions connect =
        ConnectOptions.to(server.address(), Credentials.none()).withWarnings(warnings::add);
    return CompletableFuture.supplyAsync(
        () -> WatchedSet.openOwning(new Connection(connect), List.of(names), options, timing),
        task -> new Thread(task, "opener").start());
  }

  private OpenOptions cached() {
    return OpenOptions.defaults().withCache(path, KEY).withTimeout(Until.BOUND);
  }

  /** Fills the cache with A and B as of revision 5, and leaves the server away. */
  private void fill() throws Exception {
    CompletableFuture<SecretSet> opening = opening(cached(), A, B);
    server
        .nextWatch()
        .send(
            E1.begin(5, A),
            E1.slot(2, A, 0, "a0"),
            E1.slot(5, A, Long.MAX_VALUE, "top"),
            E1.begin(5, B),
            E1.failed(3, B, 1),
            E1.slot(4, B, 2, "b2"),
            E1.synced(5));
    set = opening.get();
    assertTrue(Files.exists(path), "written before open returns");
    set.close();
    server.cut();
  }

  @Test
  void startsWhileTheServerIsAwayAndCatchesUp() throws Exception {
    fill();
    set = opening(cached(), A, B).get();
    assertTrue(set.stale());
    assertTrue(set.age().isEmpty());
    assertEquals("top", set.handle(A).current().value().text());
    assertEquals(5, set.handle(A).current().revision());
    assertEquals("a0", set.handle(A).effectiveAt(7).value().text());
    assertEquals(2, set.handle(A).effectiveAt(7).createTime().getEpochSecond());
    assertEquals(
        "DATA_LOSS",
        assertThrows(SlotsException.class, () -> set.handle(B).effectiveAt(1)).reason());
    List<Change> changes = new CopyOnWriteArrayList<>();
    set.handle(B).onChange(changes::add);
    server.resume();
    Watch watch = server.nextWatch();
    assertEquals("e1:5", watch.request.getResumeToken());
    watch.send(E1.progress(6));
    Until.holds(() -> !set.stale());
    assertTrue(set.age().isPresent());
    watch.send(E1.slot(7, B, 3, "b3"), E1.synced(7));
    Until.holds(() -> changes.size() == 1);
    set.close();
    CacheFormat.Payload saved = CacheFormat.decode(new CacheFile(path, KEY).read().orElseThrow());
    assertEquals(7, saved.snapshot().revision());
    assertEquals("e1:7", saved.snapshot().resumeToken());
    assertEquals("b3", saved.snapshot().states().get(B).current().value().text());
  }

  @Test
  void onlyItsOwnerReadsIt() throws Exception {
    fill();
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(path)));
    try (Stream<Path> files = Files.list(dir)) {
      assertEquals(List.of(path), files.toList(), "no temporary file stays");
    }
    String bytes =
        new String(Files.readAllBytes(path), java.nio.charset.StandardCharsets.ISO_8859_1);
    assertTrue(bytes.startsWith("SSCACHE1"));
    assertFalse(bytes.contains("app/a"));
  }

  @Test
  void aServerThatSaysNoIsNotOverruled() throws Exception {
    fill();
    server.resume();
    CompletableFuture<SecretSet> opening = opening(PATIENT, cached(), A, B);
    server.nextWatch().fail(FakeServer.error(Code.PERMISSION_DENIED, "PERMISSION_DENIED"));
    SlotsException e =
        (SlotsException) assertThrows(CompletionException.class, opening::join).getCause();
    assertEquals(Code.PERMISSION_DENIED, e.code());
  }

  @Test
  void aSlowServerIsNotWaitedForLong() throws Exception {
    fill();
    server.resume();
    CompletableFuture<SecretSet> opening = opening(cached(), A, B);
    Watch watch = server.nextWatch(); // and then says nothing
    set = opening.get();
    assertTrue(set.stale());
    watch.send(E1.slot(8, A, 1, "x"), E1.synced(8));
    Until.holds(() -> set.handle(A).state().revision() == 8);
  }

  @Test
  void otherNamesTakeTheValuesAndStartAfresh() throws Exception {
    fill();
    set = opening(cached(), A).get();
    assertEquals("top", set.handle(A).current().value().text());
    server.resume();
    assertEquals("", server.nextWatch().request.getResumeToken());
  }

  @Test
  void anotherViewTakesNothing() throws Exception {
    fill();
    OpenOptions options = cached().withView(View.CURRENT).withTimeout(Duration.ofMillis(300));
    SlotsException e =
        (SlotsException)
            assertThrows(CompletionException.class, opening(options, A)::join).getCause();
    assertEquals("SECRETS_MISSING", e.reason());
  }

  @Test
  void whatCannotBeReadIsReplaced() throws Exception {
    fill();
    byte[] good = Files.readAllBytes(path);
    byte[] flipped = good.clone();
    flipped[good.length / 2] ^= 1;
    byte[] version2 = good.clone();
    version2[7] = '2';
    server.resume();
    for (byte[] bad :
        List.of(new byte[0], Arrays.copyOf(good, 35), flipped, version2, new byte[100])) {
      warnings.clear();
      Files.write(path, bad);
      CompletableFuture<SecretSet> opening = opening(cached(), A);
      Watch watch = server.nextWatch();
      assertEquals("", watch.request.getResumeToken());
      watch.send(E1.begin(9, A), E1.slot(9, A, 1, "fresh"), E1.synced(9));
      opening.get().close();
      assertTrue(warnings.get(0).startsWith("CACHE_UNREADABLE"), warnings.toString());
      assertTrue(new CacheFile(path, KEY).read().isPresent());
    }
    byte[] otherKey = new byte[32];
    otherKey[0] = 1;
    assertThrows(CacheFile.UnreadableException.class, () -> new CacheFile(path, otherKey).read());
  }

  @Test
  void theKeyHas32Bytes() {
    assertEquals(
        Code.INVALID_ARGUMENT,
        assertThrows(
                SlotsException.class, () -> OpenOptions.defaults().withCache(path, new byte[31]))
            .code());
  }

  @Test
  void aDirectoryThatIsNotThereIsAWarning() throws Exception {
    path = dir.resolve("none/cache");
    CompletableFuture<SecretSet> opening = opening(cached(), A);
    server.nextWatch().send(E1.begin(9, A), E1.slot(9, A, 1, "fresh"), E1.synced(9));
    set = opening.get();
    assertEquals("fresh", set.handle(A).current().value().text());
    assertTrue(warnings.toString().contains("can't be written"), warnings.toString());
  }

  /** Written by Node's crypto from the example in clients/README.md, under the key 00 01 02 ... */
  @Test
  void readsWhatAnotherLanguageWrote() throws Exception {
    byte[] key = new byte[32];
    for (int i = 0; i < key.length; i++) {
      key[i] = (byte) i;
    }
    Files.write(path, Base64.getDecoder().decode(FOREIGN));
    CacheFormat.Payload payload = CacheFormat.decode(new CacheFile(path, key).read().orElseThrow());
    assertEquals(View.ALL_ENABLED, payload.view());
    assertEquals(42, payload.snapshot().revision());
    SecretState db = payload.snapshot().states().get("app/db");
    assertEquals("hunter2", db.effectiveAt(0).value().text());
    assertEquals(40, db.revision());
    assertTrue(db.slots().get(1).failed());
    assertEquals(250_000_000, db.slots().get(1).createTime().getNano());
    assertEquals(
        AbsentReason.NOT_EXISTING,
        payload.snapshot().states().get("app/gone").absent().orElseThrow());
  }

  private static final String FOREIGN =
      "U1NDQUNIRTEBAgMEBQYHCAkKCwx+yCywnueZ6SKAWWUhMcYKNCqEibVXcoTtE6Zh0Pc0icGgufNM0Jzw"
          + "08SY3+e+2nG8hCqWvepfHlhfNu9bMxYgVQ9uUMqcOLQkedUU2QIh0/8cEluDX5ukO+K0MQLPFxqn9lxN"
          + "j3Q+R9n0/UTfk2ruoqZOv78W4wsXD93kz/RORmUTcYfQolZRmthtmJf8ijrmiVnnt7ViDf0TV79aSHg7"
          + "0AtX+nZbUWCu6q22nRXTSFahPIXfq3WttWG4DfVyiLhNIan79FJVs/QXAfOKtGaIyAp9amYvutqi+72Q"
          + "NZxgeLR+11I4AocGez5W/kjQOAm2/fNhu47zrZEKIgRfiucQwhda6N9na57BnQGeRjVF1dDE2dDsqgrM"
          + "FjVjVxfMEJXq/zcry6Drkmaa6uD7BXkxg9E9lnRlMix2vvxmksVg3N2d6c0eeLSajZgqvSQP5gkTVxVS"
          + "j0JVUmq4MNcKFuw9X81ry3+dHi6rcnUQgNqjsbwxh1u68Y3+9l+Ay3GkepRrJipVhEs2ew4Lonrg/K/c"
          + "lhIA19CDc1KuTIUVkDkf+2Qqv1dBKYE88ZRZa04ERg==";

  @Test
  void malformedContentIsUnreadable() {
    for (String json :
        List.of(
            "",
            "[]",
            "{}",
            payload("1", "[]").replace("\"version\":\"1\"", "\"version\":\"2\""),
            payload("-1", "[]"),
            payload("9223372036854775808", "[]"),
            payload("1", "[]").replace("NO_ENABLED_SLOT", ""),
            payload(
                "1", "[{\"slot\":\"1\",\"revision\":\"1\",\"createTime\":\"\",\"value\":\"\"}]"),
            payload("1", "[]").replace("ALL_ENABLED", "SOME"))) {
      assertThrows(
          CacheFile.UnreadableException.class, () -> CacheFormat.decode(json.getBytes()), json);
    }
  }

  private static String payload(String revision, String slots) {
    return ("{\"version\":\"1\",\"view\":\"ALL_ENABLED\",\"epoch\":\"e\",\"revision\":\"%s\","
            + "\"resumeToken\":\"\",\"savedAt\":\"1\",\"secrets\":{\"a\":{\"revision\":\"1\","
            + "\"absent\":\"NO_ENABLED_SLOT\",\"slots\":%s}}}")
        .formatted(revision, slots);
  }
}
