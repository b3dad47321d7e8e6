package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.gson.Gson;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SecretValueTest {
  private static final String SECRET = "hunter2";

  @Test
  void nothingThatHoldsItPrintsIt() {
    FakeSecrets secrets = FakeSecrets.of(Map.of("app/db", SECRET));
    SecretHandle handle = secrets.handle("app/db");
    SecretVersion version = handle.current();
    Slot slot = handle.state().slots().get(0);
    List<Object> holders =
        List.of(
            version.value(),
            version,
            slot,
            handle.state(),
            handle,
            secrets,
            Change.between(handle.state(), handle.state()),
            PutSlot.next("app/db", version.value()),
            new EffectiveVersion(version, 1),
            Credentials.token(SECRET),
            ConnectOptions.to("localhost:1", Credentials.token(SECRET)));
    for (Object holder : holders) {
      assertFalse(holder.toString().contains(SECRET), holder.getClass().getName());
    }
    assertEquals("[secret]", String.format("%s", version.value()));
    // Serialisers that read fields find none.
    assertEquals("{}", new Gson().toJson(version.value()));
  }

  @Test
  void readsBack() {
    assertEquals(SECRET, SecretValue.of(SECRET).text());
    assertEquals("", SecretValue.of("").text());
    byte[] binary = {(byte) 0xff, 0, 1};
    SecretValue value = SecretValue.of(binary);
    binary[0] = 7;
    assertArrayEquals(new byte[] {(byte) 0xff, 0, 1}, value.bytes());
    value.bytes()[0] = 9;
    assertArrayEquals(new byte[] {(byte) 0xff, 0, 1}, value.bytes());
    assertEquals(3, value.length());
    assertThrows(IllegalStateException.class, value::text);
  }

  @Test
  void comparesByContent() {
    assertEquals(SecretValue.of("a"), SecretValue.of("a"));
    assertEquals(SecretValue.of("a").hashCode(), SecretValue.of("a").hashCode());
    assertNotEquals(SecretValue.of("a"), SecretValue.of("b"));
    assertNotEquals(SecretValue.of("a"), SecretValue.of("aa"));
    assertNotEquals(SecretValue.of("a"), (Object) "a");
  }

  @Test
  void aSlotWithoutAValueHasFailed() {
    assertEquals(true, new Slot(1, 2, Instant.EPOCH, null).failed());
  }
}
