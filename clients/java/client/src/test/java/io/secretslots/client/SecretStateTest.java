package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status.Code;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class SecretStateTest {
  private static final long TOP = Long.MAX_VALUE;

  /** Slots given as number, value pairs; a null value has failed. */
  private static SecretState state(Object... pairs) {
    List<Slot> slots = new ArrayList<>();
    for (int i = 0; i < pairs.length; i += 2) {
      SecretValue value = pairs[i + 1] == null ? null : SecretValue.of((String) pairs[i + 1]);
      slots.add(new Slot(((Number) pairs[i]).longValue(), 7, null, value));
    }
    AbsentReason absent = slots.isEmpty() ? AbsentReason.NO_ENABLED_SLOT : null;
    return new SecretState("app/db", "e", 9, absent, slots);
  }

  private static String at(SecretState state, long t) {
    return state.effectiveAt(t).value().text();
  }

  private static List<Long> acceptable(SecretState state, long t, long overlap) {
    return state.acceptable(t, overlap).stream().map(SecretVersion::slot).toList();
  }

  private static SlotsException fails(Code code, String reason, Executable call) {
    SlotsException e = assertThrows(SlotsException.class, call);
    assertEquals(code, e.code());
    assertEquals(reason, e.reason());
    return e;
  }

  @Test
  void resolvesByTheTwoRules() {
    SecretState state = state(0, "a", 5, "b", 9007199254740993L, "odd", TOP, "top");
    assertEquals("top", state.current().value().text());
    assertEquals(TOP, state.current().slot());
    assertEquals("a", at(state, 0));
    assertEquals("a", at(state, 4));
    assertEquals("b", at(state, 5));
    assertEquals("b", at(state, 9007199254740992L));
    assertEquals("odd", at(state, 9007199254740993L));
    assertEquals("odd", at(state, TOP - 1));
    assertEquals("top", at(state, TOP));
  }

  @Test
  void theRevisionIsTheSecretsAndReadsAllocateNothing() {
    SecretState state = state(0, "a", 5, "b");
    assertEquals(9, state.current().revision());
    assertEquals(9, state.effectiveAt(0).revision());
    assertSame(state.current(), state.current());
    assertSame(state.effectiveAt(3), state.effectiveAt(4));
  }

  @Test
  void saysWhyThereIsNone() {
    SecretState gone = new SecretState("app/db", "e", 1, AbsentReason.NOT_EXISTING, List.of());
    fails(Code.NOT_FOUND, "SECRET_NOT_FOUND", gone::current);
    fails(Code.NOT_FOUND, "SECRET_NOT_FOUND", () -> gone.effectiveAt(1));
    fails(Code.NOT_FOUND, "NO_EFFECTIVE_SLOT", () -> state().current());
    fails(Code.NOT_FOUND, "NO_EFFECTIVE_SLOT", () -> state(10, "a").effectiveAt(9));
    fails(Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", () -> state(10, "a").effectiveAt(-1));
    assertEquals(List.of(), acceptable(gone, 1, TOP));
  }

  @Test
  void aFailedSlotIsNotSkipped() {
    SecretState state = state(0, "a", 5, null, 8, "c");
    SlotsException e = fails(Code.DATA_LOSS, "DATA_LOSS", () -> state.effectiveAt(6));
    assertEquals(Map.of("name", "app/db", "slot", "5"), e.metadata());
    assertEquals("c", state.current().value().text());
    assertEquals("a", at(state, 4));
    fails(Code.DATA_LOSS, "DATA_LOSS", () -> state(0, "a", 5, null).current());
    assertEquals(List.of(8L, 0L), acceptable(state, 4, 4));
  }

  @Test
  void acceptsWhatIsEffectiveAroundARollOver() {
    SecretState state = state(0, "a", 100, "b", 200, "c");
    assertEquals(List.of(100L), acceptable(state, 150, 0));
    assertEquals(List.of(100L, 0L), acceptable(state, 105, 10));
    assertEquals(List.of(100L, 0L), acceptable(state, 95, 5));
    assertEquals(List.of(0L), acceptable(state, 95, 4));
    assertEquals(List.of(200L, 100L, 0L), acceptable(state, 100, TOP));
    assertEquals(List.of(200L), acceptable(state, TOP, 5));
    assertEquals(List.of(200L, 100L, 0L), acceptable(state, TOP, TOP));
    assertEquals(List.of(), acceptable(state(50, "a"), 10, 5));
    assertEquals(List.of(50L), acceptable(state(50, "a"), 45, 5));
    // No value twice: the larger slot stands for both.
    assertEquals(List.of(9L, 5L), acceptable(state(0, "a", 5, "b", 9, "a"), 5, 5));
    fails(Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", () -> state.acceptable(1, -1));
  }
}
