package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status.Code;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class OpeningTest {
  private static final Duration SHORT = Duration.ofMillis(1);
  private static final SlotsException AWAY =
      new SlotsException(Code.UNAVAILABLE, "", "connection refused", Map.of());
  private static final SlotsException NO_TOKEN =
      new SlotsException(Code.UNAUTHENTICATED, "TOKEN_UNKNOWN", "no", Map.of());

  private static SecretHandle handle(String name, AbsentReason absent, Slot... slots) {
    return new SecretHandle(name, null, new SecretState(name, "e", 1, absent, List.of(slots)));
  }

  private static final List<SecretHandle> HANDLES =
      List.of(
          handle("z/gone", AbsentReason.NOT_EXISTING),
          handle("there", null, new Slot(0, 1, Instant.EPOCH, SecretValue.of("x"))),
          handle("a/off", AbsentReason.NO_ENABLED_SLOT),
          handle("a/damaged", null, new Slot(3, 1, null, null)));

  private static Opening opening(boolean cached) {
    return new Opening(HANDLES, cached, Duration.ofMillis(50));
  }

  @Test
  void namesWhatIsMissingAndWhy() {
    Opening opening = opening(false);
    opening.received(false);
    SlotsException e = assertThrows(SlotsException.class, () -> opening.await(SHORT));
    assertEquals(Code.DEADLINE_EXCEEDED, e.code());
    assertEquals("SECRETS_MISSING", e.reason());
    assertEquals(Map.of("missing", "z/gone,a/off,a/damaged"), e.metadata());
    assertEquals(
        "no value in time for z/gone (does not exist), a/off (has no enabled slot),"
            + " a/damaged (data loss in slot 3)",
        e.getMessage());
  }

  @Test
  void saysThatThereWasNoContact() {
    Opening opening =
        new Opening(List.of(new SecretHandle("a", null, null)), false, Duration.ofMillis(50));
    assertEquals(
        "no value in time for a (no answer from the server)",
        assertThrows(SlotsException.class, () -> opening.await(SHORT)).getMessage());
    opening.failed(AWAY);
    SlotsException e = assertThrows(SlotsException.class, () -> opening.await(SHORT));
    assertEquals(
        "no value in time for a (no contact: UNAVAILABLE: connection refused)", e.getMessage());
    assertSame(AWAY, e.getCause());
  }

  @Test
  void returnsWhenAllAreThere() throws Exception {
    Opening opening = opening(false);
    opening.failed(AWAY);
    opening.received(true);
    opening.await(SHORT);
  }

  @Test
  void theCacheCountsOnlyWithoutContact() throws Exception {
    Opening away = opening(true);
    away.failed(AWAY);
    away.await(Duration.ofDays(1));
    Opening slow = opening(true);
    slow.await(Duration.ofDays(1));
    Opening refused = opening(true);
    refused.failed(AWAY);
    refused.failed(new SlotsException(Code.PERMISSION_DENIED, "PERMISSION_DENIED", "", Map.of()));
    assertThrows(SlotsException.class, () -> refused.await(SHORT));
    Opening contact = opening(true);
    contact.received(false);
    contact.failed(AWAY);
    assertThrows(SlotsException.class, () -> contact.await(SHORT));
  }

  @Test
  void aTokenIsRefusedTwiceInARow() {
    Opening opening = opening(false);
    opening.failed(NO_TOKEN);
    opening.failed(AWAY);
    opening.failed(NO_TOKEN);
    assertEquals(
        "SECRETS_MISSING", assertThrows(SlotsException.class, () -> opening.await(SHORT)).reason());
    opening.failed(NO_TOKEN);
    assertSame(NO_TOKEN, assertThrows(SlotsException.class, () -> opening.await(SHORT)));
  }

  @Test
  void aBadResumeTokenIsNoRefusal() {
    Opening opening = opening(false);
    opening.failed(new SlotsException(Code.INVALID_ARGUMENT, "BAD_RESUME_TOKEN", "", Map.of()));
    assertEquals(
        "SECRETS_MISSING", assertThrows(SlotsException.class, () -> opening.await(SHORT)).reason());
  }
}
