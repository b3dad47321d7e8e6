package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import io.grpc.Status.Code;
import io.secretslots.v1.GetSecretResponse;
import io.secretslots.v1.PutSlotResponse;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UnaryTest {
  private static final GetSecretResponse HUNTER2 =
      GetSecretResponse.newBuilder()
          .setName("app/db")
          .setSlot(9007199254740993L)
          .setValue(ByteString.copyFromUtf8("hunter2"))
          .setCrc32C(Checksum.of(SecretValue.of("hunter2").bytes()))
          .setRevision(Long.MAX_VALUE)
          .setEpoch("e")
          .build();

  @TempDir Path dir;
  private FakeServer server;
  private SlotsClient client;

  @BeforeEach
  void start() throws IOException {
    server = FakeServer.start();
  }

  @AfterEach
  void stop() {
    if (client != null) {
      client.close();
    }
    server.close();
  }

  private void connect(Credentials credentials) {
    client =
        SlotsClient.connect(
            ConnectOptions.to(server.address(), credentials).withTimeout(Until.BOUND));
  }

  @Test
  void readsExactNumbers() {
    server.getSecret = request -> HUNTER2;
    connect(Credentials.none());
    SecretVersion version = client.getSecret("app/db");
    assertEquals("hunter2", version.value().text());
    assertEquals(9007199254740993L, version.slot());
    assertEquals(Long.MAX_VALUE, version.revision());
  }

  @Test
  void retriesWhatIsAwayAndMutationsAsTheSameRequest() {
    List<String> ids = new CopyOnWriteArrayList<>();
    server.putSlot =
        request -> {
          ids.add(request.getRequestId());
          assertEquals(Checksum.of(request.getValue().toByteArray()), request.getCrc32C());
          if (ids.size() < 4) {
            throw FakeServer.error(Code.UNAVAILABLE, "STORE_BUSY");
          }
          return PutSlotResponse.newBuilder().setSlot(0).setRevision(1).build();
        };
    connect(Credentials.none());
    assertEquals(1, client.putSlot(PutSlot.at("app/db", 0, SecretValue.of("x"))).revision());
    assertEquals(4, ids.size());
    assertEquals(1, ids.stream().distinct().count());
    assertTrue(ids.get(0).matches("[0-9a-f]{32}"));
    client.putSlot(PutSlot.at("app/db", 0, SecretValue.of("x")).withRequestId("mine"));
    assertEquals("mine", ids.get(4));
  }

  @Test
  void givesUpAfterTheAttemptsAllowed() {
    AtomicInteger attempts = new AtomicInteger();
    server.getSecret =
        request -> {
          attempts.incrementAndGet();
          throw FakeServer.error(Code.UNAVAILABLE, "STORE_BUSY");
        };
    connect(Credentials.none());
    SlotsException e = assertThrows(SlotsException.class, () -> client.getSecret("app/db"));
    assertEquals(Code.UNAVAILABLE, e.code());
    assertEquals("STORE_BUSY", e.reason());
    assertEquals(Map.of("name", "app/db"), e.metadata());
    assertEquals(5, attempts.get());
  }

  @Test
  void waitsAsLongAsTheServerAsks() {
    AtomicInteger attempts = new AtomicInteger();
    server.getSecret =
        request -> {
          if (attempts.incrementAndGet() == 1) {
            throw FakeServer.error(Code.UNAVAILABLE, "STORE_BUSY", 400);
          }
          return HUNTER2;
        };
    connect(Credentials.none());
    long start = System.nanoTime();
    client.getSecret("app/db");
    assertTrue(System.nanoTime() - start >= Duration.ofMillis(400).toNanos());
  }

  @Test
  void returnsTheLastErrorWhenAWaitWouldPassTheDeadline() {
    AtomicInteger attempts = new AtomicInteger();
    server.getSecret =
        request -> {
          attempts.incrementAndGet();
          throw FakeServer.error(Code.UNAVAILABLE, "STORE_BUSY", 60_000);
        };
    connect(Credentials.none());
    SlotsClient hasty = client.withTimeout(Duration.ofMillis(800));
    assertEquals(
        "STORE_BUSY", assertThrows(SlotsException.class, () -> hasty.getSecret("app/db")).reason());
    assertEquals(1, attempts.get());
  }

  @Test
  void retriesNothingElse() {
    AtomicInteger attempts = new AtomicInteger();
    for (Code code :
        List.of(Code.NOT_FOUND, Code.ABORTED, Code.RESOURCE_EXHAUSTED, Code.INTERNAL)) {
      attempts.set(0);
      server.getSecret =
          request -> {
            attempts.incrementAndGet();
            throw FakeServer.error(code, "WHY");
          };
      connect(Credentials.none());
      assertEquals(
          code, assertThrows(SlotsException.class, () -> client.getSecret("app/db")).code());
      assertEquals(1, attempts.get());
      client.close();
    }
  }

  @Test
  void hasADeadline() {
    server.getSecret = request -> null;
    connect(Credentials.none());
    SlotsClient hasty = client.withTimeout(Duration.ofMillis(300));
    assertEquals(
        Code.DEADLINE_EXCEEDED,
        assertThrows(SlotsException.class, () -> hasty.getSecret("app/db")).code());
  }

  @Test
  void aDamagedValueIsDataLoss() {
    server.getSecret = request -> HUNTER2.toBuilder().setCrc32C(1).build();
    connect(Credentials.none());
    SlotsException e = assertThrows(SlotsException.class, () -> client.getSecret("app/db"));
    assertEquals(Code.DATA_LOSS, e.code());
    assertEquals("DATA_LOSS", e.reason());
  }

  @Test
  void aRefusedTokenIsReadAgainAndTriedOnceMore() throws IOException {
    Path file = Files.writeString(dir.resolve("token"), " old\n");
    connect(Credentials.tokenFile(file));
    server.getSecret =
        request -> {
          if (server.unaryTokens.size() == 1) {
            write(file, "new\n");
            throw FakeServer.error(Code.UNAUTHENTICATED, "TOKEN_UNKNOWN");
          }
          return HUNTER2;
        };
    client.getSecret("app/db");
    assertEquals(List.of("Bearer old", "Bearer new"), server.unaryTokens);
    server.getSecret =
        request -> {
          throw FakeServer.error(Code.UNAUTHENTICATED, "TOKEN_UNKNOWN");
        };
    assertThrows(SlotsException.class, () -> client.getSecret("app/db"));
    assertEquals(3, server.unaryTokens.size(), "the same token is not tried again");
  }

  private static void write(Path file, String text) {
    try {
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void aCallbackGivesEachCallItsToken() {
    AtomicInteger asked = new AtomicInteger();
    server.getSecret = request -> HUNTER2;
    connect(Credentials.token(() -> "t" + asked.incrementAndGet()));
    client.getSecret("app/db");
    client.getSecret("app/db");
    assertEquals(List.of("Bearer t1", "Bearer t2"), server.unaryTokens);
  }

  @Test
  void badNumbersAreRefusedHere() {
    connect(Credentials.none());
    for (Runnable call :
        List.<Runnable>of(
            () -> client.getEffectiveAt("app/db", -1),
            () -> client.putSlot(PutSlot.at("app/db", -1, SecretValue.of("x"))),
            () -> client.putSlot(PutSlot.next("app/db", SecretValue.of("x")).expecting(-1)),
            () -> client.disableSlot("app/db", Long.MIN_VALUE))) {
      assertEquals(Code.INVALID_ARGUMENT, assertThrows(SlotsException.class, call::run).code());
    }
    assertEquals(List.of(), server.unaryTokens);
  }

  @Test
  void walksPagesAsTheyAreTaken() {
    List<String> asked = new CopyOnWriteArrayList<>();
    var items =
        Pages.stream(
            token -> {
              asked.add(token);
              int page = token.isEmpty() ? 0 : Integer.parseInt(token);
              List<Integer> numbers =
                  page == 1 ? List.of() : IntStream.range(page * 2, page * 2 + 2).boxed().toList();
              return new Page<>(numbers, page == 2 ? "" : Integer.toString(page + 1));
            });
    assertEquals(List.of(0, 1, 4, 5), items.toList());
    assertEquals(List.of("", "1", "2"), asked);
  }
}
