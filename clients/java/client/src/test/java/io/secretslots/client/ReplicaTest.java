package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.secretslots.client.Replica.BrokenStream;
import io.secretslots.client.Replica.Effect;
import io.secretslots.client.Replica.Snapshot;
import io.secretslots.v1.WatchSlotsResponse;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ReplicaTest {
  private static final String A = "app/a";
  private static final String B = "app/b";
  private static final Events E1 = new Events("e1");
  private static final Events E2 = new Events("e2");

  private Replica replica;

  @BeforeEach
  void open() {
    replica = new Replica(List.of(A, B), Snapshot.EMPTY);
    replica.beginStream();
  }

  /** Receives events; gives the effect of the last. */
  private Effect receive(WatchSlotsResponse... events) throws BrokenStream {
    Effect effect = Effect.NONE;
    for (WatchSlotsResponse event : events) {
      effect = replica.receive(event);
    }
    return effect;
  }

  private SecretState state(String name) {
    return replica.snapshot().states().get(name);
  }

  private List<String> changed() {
    return replica.changed().stream().map(SecretState::name).toList();
  }

  private static String slots(SecretState state) {
    StringBuilder text = new StringBuilder();
    for (Slot slot : state.slots()) {
      text.append(slot.number())
          .append('=')
          .append(slot.failed() ? "failed" : slot.value().text())
          .append(' ');
    }
    return text.toString().strip();
  }

  private void start() throws BrokenStream {
    receive(
        E1.begin(5, A),
        E1.slot(2, A, 0, "a0"),
        E1.slot(4, A, 5, "a5"),
        E1.begin(5, B),
        E1.notExisting(0, B),
        E1.synced(5));
  }

  @Test
  void appliesNothingBeforeSynced() throws BrokenStream {
    assertEquals(Effect.NONE, receive(E1.begin(5, A), E1.slot(4, A, 5, "a5")));
    assertNull(state(A));
    assertEquals(Effect.SYNCED, receive(E1.synced(5)));
    assertEquals("5=a5", slots(state(A)));
    assertEquals(4, state(A).revision());
    assertEquals("e1:5", replica.resumeToken());
  }

  @Test
  void appliesAStepAtOnce() throws BrokenStream {
    start();
    assertEquals(AbsentReason.NOT_EXISTING, state(B).absent().orElseThrow());
    assertEquals(0, state(B).revision());
    receive(E1.slot(7, A, 9, "a9"), E1.removed(6, A, 0), E1.slot(7, B, 1, "b1"), E1.synced(7));
    assertEquals("5=a5 9=a9", slots(state(A)));
    assertEquals(7, state(A).revision());
    assertEquals("1=b1", slots(state(B)));
    assertEquals(List.of(A, B), changed());
  }

  @Test
  void thePendingSetDiesWithItsStream() throws BrokenStream {
    start();
    receive(E1.slot(7, A, 9, "a9"));
    replica.beginStream();
    receive(E1.slot(8, B, 1, "b1"), E1.synced(8));
    assertEquals("0=a0 5=a5", slots(state(A)));
    assertEquals(List.of(B), changed());
  }

  @Test
  void slotsThatGoLeaveAnAbsence() throws BrokenStream {
    start();
    receive(E1.removed(6, A, 5), E1.removed(7, A, 0), E1.synced(7));
    assertEquals(AbsentReason.NO_ENABLED_SLOT, state(A).absent().orElseThrow());
    assertEquals(7, state(A).revision());
    receive(E1.notExisting(8, A), E1.synced(8));
    assertEquals(AbsentReason.NOT_EXISTING, state(A).absent().orElseThrow());
  }

  @Test
  void aRebuiltNameWithoutAnythingDoesNotExist() throws BrokenStream {
    start();
    receive(E1.begin(9, A), E1.synced(9));
    assertEquals(AbsentReason.NOT_EXISTING, state(A).absent().orElseThrow());
    assertEquals(9, state(A).revision(), "no event says when: the synced does");
  }

  @Test
  void whatIsRebuiltToTheSameIsNoChange() throws BrokenStream {
    start();
    SecretState before = state(A);
    receive(E1.begin(6, A), E1.slot(2, A, 0, "a0"), E1.slot(4, A, 5, "a5"), E1.synced(6));
    assertEquals(List.of(), changed());
    assertTrue(state(A) == before);
  }

  @Test
  void aNewestSlotThatWentAwayUnseenStillRaisesTheRevision() throws BrokenStream {
    start();
    receive(E1.begin(9, A), E1.slot(2, A, 0, "a0"), E1.synced(9));
    assertEquals("0=a0", slots(state(A)));
    assertEquals(9, state(A).revision());
  }

  @Test
  void olderEventsOfASlotAreIgnored() throws BrokenStream {
    start();
    receive(E1.slot(3, A, 5, "old"), E1.removed(3, A, 5), E1.failed(3, A, 5), E1.synced(6));
    assertEquals("0=a0 5=a5", slots(state(A)));
    assertEquals(List.of(), changed());
  }

  @Test
  void anOlderSyncedBreaksTheStream() throws BrokenStream {
    start();
    assertThrows(BrokenStream.class, () -> receive(E1.slot(9, A, 9, "a9"), E1.synced(4)));
    assertEquals("0=a0 5=a5", slots(state(A)));
    assertEquals("", replica.resumeToken());
    replica.beginStream();
    assertThrows(BrokenStream.class, () -> receive(E1.begin(3, A), E1.synced(3)));
    replica.beginStream();
    receive(E1.begin(5, A), E1.slot(4, A, 5, "a5"), E1.synced(5));
    assertEquals("5=a5", slots(state(A)));
  }

  @Test
  void progressMovesTheOrderToo() throws BrokenStream {
    start();
    assertEquals(Effect.PROGRESS, receive(E1.progress(20)));
    assertEquals("e1:20", replica.resumeToken());
    assertThrows(BrokenStream.class, () -> receive(E1.slot(19, A, 9, "x"), E1.synced(19)));
  }

  @Test
  void afterAResetLowerRevisionsCount() throws BrokenStream {
    start();
    receive(E1.historyReset(3));
    assertEquals("", replica.resumeToken());
    assertEquals("0=a0 5=a5", slots(state(A)), "readable until the next synced");
    receive(E1.begin(3, A), E1.slot(2, A, 0, "a0"), E1.begin(3, B), E1.synced(3));
    assertEquals("0=a0", slots(state(A)));
    assertEquals("e1:3", replica.resumeToken());
  }

  @Test
  void aResetThatIsCutLeavesTheWayOpen() throws BrokenStream {
    start();
    receive(E1.historyReset(3));
    replica.beginStream();
    receive(E1.begin(3, A), E1.slot(2, A, 0, "a0"), E1.begin(3, B), E1.synced(3));
    assertEquals("0=a0", slots(state(A)));
  }

  @Test
  void afterAResetNamesWithoutAnythingDoNotExist() throws BrokenStream {
    start();
    receive(E2.historyReset(1), E2.synced(1));
    assertEquals(AbsentReason.NOT_EXISTING, state(A).absent().orElseThrow());
    assertEquals(List.of(A, B), changed());
    assertEquals("e2", state(A).epoch());
  }

  @Test
  void anotherEpochIsAReset() throws BrokenStream {
    start();
    receive(E2.slot(1, A, 3, "new"), E2.synced(1));
    assertEquals("3=new", slots(state(A)));
    assertEquals(1, state(A).revision());
    assertEquals(AbsentReason.NOT_EXISTING, state(B).absent().orElseThrow());
  }

  @Test
  void anEpochThatComesBackMidStreamIsAResetAgain() throws BrokenStream {
    start();
    receive(E2.slot(1, A, 3, "new"), E1.slot(7, A, 7, "a7"), E1.synced(7));
    assertEquals("7=a7", slots(state(A)));
  }

  @Test
  void aFailedRecordKeepsTheValueOfTheSameVersion() throws BrokenStream {
    start();
    receive(E1.failed(4, A, 5), E1.synced(6));
    assertEquals("0=a0 5=a5", slots(state(A)));
    receive(E1.begin(7, A), E1.slot(2, A, 0, "a0"), E1.failed(4, A, 5), E1.synced(7));
    assertEquals("0=a0 5=a5", slots(state(A)));
    assertEquals(List.of(), changed());
    receive(E1.failed(8, A, 5), E1.synced(8));
    assertEquals("0=a0 5=failed", slots(state(A)), "another version: its value is not known");
    receive(E2.historyReset(9), E2.begin(9, A), E2.failed(8, A, 5), E2.synced(9));
    assertEquals("5=failed", slots(state(A)));
  }

  @Test
  void aDamagedValueBreaksTheStream() throws BrokenStream {
    start();
    assertThrows(BrokenStream.class, () -> receive(E1.slot(7, A, 9, "a9", 12345)));
  }

  @Test
  void strangersAreIgnored() throws BrokenStream {
    start();
    receive(
        E1.begin(6, "app/other"), E1.slot(6, "app/other", 1, "x"), E2.unknown(99), E1.synced(6));
    assertEquals(List.of(), changed());
    assertEquals("e1:6", replica.resumeToken());
  }

  @Test
  void numbersAboveTheRangeBreakTheStream() throws BrokenStream {
    start();
    assertThrows(BrokenStream.class, () -> receive(E1.slot(7, A, -1, "x")));
    replica.beginStream();
    assertThrows(BrokenStream.class, () -> receive(E1.synced(-1)));
  }
}
