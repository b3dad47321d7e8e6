import { describe, expect, test } from "vitest";
import { check, VALIDATORS } from "./check.ts";
import { eras } from "./eras.ts";
import { fromJsonLines, toJsonLines } from "./history.ts";
import { type Script, script } from "./script.ts";

type Promised = keyof typeof VALIDATORS;

const exists = () => script().put(0n, "zero", 1n);
const watched = () => exists().watch(1).current(1, 0n, "zero", 1n);
const large = (label: string) => `${label}~60000`;

/** A history in which all is well, and ones in which one promise is broken; by the validator that has to see it. */
const CASES: readonly (readonly [Promised, string, good: () => Script, bad: () => Script])[] = [
  [
    "linearizable",
    "a read of what was overwritten before it began",
    () => exists().put(5n, "five", 2n).get(5n, "five", 2n),
    () => exists().put(5n, "five", 2n).get(0n, "zero", 1n),
  ],
  [
    "linearizable",
    "a slot that changed without being asked to",
    () =>
      exists().call(
        { op: "put", slot: 0n, value: "x", overwrite: false, disabled: false },
        { code: "ALREADY_EXISTS", reason: "SLOT_EXISTS" },
      ),
    () =>
      exists().call(
        { op: "put", slot: 0n, value: "x", overwrite: false, disabled: false },
        { code: "OK", slot: 0n, state: "enabled", created: false, current: 0n, revision: 2n },
      ),
  ],
  [
    "linearizable",
    "a revision that had been seen before its change began",
    () => exists().put(5n, "five", 7n),
    () => script().put(0n, "zero", 7n).put(5n, "five", 6n, { name: "b" }),
  ],
  [
    "linearizable",
    "a slot enabled by another put than the one that says so",
    () => putOverDisabled("six"),
    () => putOverDisabled("five"),
  ],
  [
    "linearizable",
    "a request id that did its work twice",
    () => {
      const op = { op: "put", value: "v", overwrite: false, disabled: false, id: "i" } as const;
      const answer = {
        code: "OK",
        slot: 0n,
        state: "enabled",
        created: true,
        current: 0n,
        revision: 1n,
      } as const;
      return script().call(op, answer).call(op, answer);
    },
    () => {
      const op = { op: "put", value: "v", overwrite: false, disabled: false, id: "i" } as const;
      const answer = {
        code: "OK",
        slot: 0n,
        state: "enabled",
        created: true,
        current: 0n,
        revision: 1n,
      } as const;
      return script()
        .call(op, answer)
        .call(op, { ...answer, slot: 1n, current: 1n, revision: 2n });
    },
  ],
  [
    "linearizable-without-revisions",
    "calls that no order explains, though their revisions rise",
    () => exists().put(5n, "five", 2n, { start: 3, end: 9 }).get(0n, "zero", 1n, { start: 4, end: 8 }),
    () => exists().put(5n, "five", 2n).get(5n, "five", 3n).get(0n, "zero", 4n),
  ],
  [
    "reborn",
    "the new secret without the end of the old",
    () => watched().delete(2n).put(0n, "new", 3n).absent(1, 2n).current(1, 0n, "new", 3n),
    () => watched().delete(2n).put(0n, "new", 3n).current(1, 0n, "new", 3n),
  ],
  [
    "W1",
    "what was shown is gone after a kill",
    () => watched().fault("kill").get(0n, "zero", 1n),
    () => script().watch(1).current(1, 0n, "zero", 1n).fault("kill"),
  ],
  [
    "W2",
    "a first state from before a write that was answered",
    () => watched(),
    () => exists().put(5n, "five", 2n).watch(1).current(1, 0n, "zero", 1n),
  ],
  ["W2", "something else first", () => watched(), () => exists().watch(1).event(1, "progress", 1n)],
  [
    "W2",
    "NOT_FOUND of what is there",
    () => script().watch(1, { allowMissing: false }).end(1, "NOT_FOUND"),
    () => exists().watch(1, { allowMissing: false }).end(1, "NOT_FOUND"),
  ],
  [
    "W3",
    "an older state after a newer one",
    () => watched().put(5n, "five", 2n).current(1, 5n, "five", 2n),
    () => exists().put(5n, "five", 2n).watch(1).current(1, 5n, "five", 2n).current(1, 0n, "zero", 1n),
  ],
  [
    "W3",
    "an older state on the client's next stream",
    () => watched().watch(2).current(2, 0n, "zero", 1n),
    () =>
      exists().put(5n, "five", 2n).watch(1).current(1, 5n, "five", 2n).watch(2).current(2, 0n, "zero", 1n),
  ],
  ["W4", "the same state twice", () => watched(), () => watched().current(1, 0n, "zero", 1n)],
  [
    "W4",
    "after a resume, the state that was known",
    () => watched().resume(2, 0).event(2, "progress", 1n),
    () => watched().resume(2, 0).current(2, 0n, "zero", 1n),
  ],
  [
    "W5",
    "the slot of one state with the value of another",
    () => watched().put(5n, "five", 2n).current(1, 5n, "five", 2n),
    () => watched().put(5n, "five", 2n).current(1, 5n, "zero", 2n),
  ],
  [
    "W5",
    "synced with half of a set",
    () =>
      exists()
        .put(1n, "one", 2n, { name: "b" })
        .slots(1, ["a", "b"])
        .event(1, "begin", 2n, { name: "a" })
        .event(1, "slot", 1n, { name: "a", slot: 0n, value: "zero" })
        .event(1, "begin", 2n, { name: "b" })
        .event(1, "slot", 2n, { name: "b", slot: 1n, value: "one" })
        .event(1, "synced", 2n),
    () =>
      exists()
        .put(1n, "one", 2n, { name: "b" })
        .slots(1, ["a", "b"])
        .event(1, "begin", 2n, { name: "a" })
        .event(1, "slot", 1n, { name: "a", slot: 0n, value: "zero" })
        .event(1, "begin", 2n, { name: "b" })
        .event(1, "synced", 2n),
  ],
  ["W5", "a queue that waited for a stalled reader", () => flooded(2), () => flooded(40)],
  [
    "W6",
    "a last state that never came",
    () => watched().put(5n, "five", 2n).current(1, 5n, "five", 2n).settled(1),
    () => watched().put(5n, "five", 2n).settled(1),
  ],
  [
    "W7",
    "progress past a state that was not sent",
    () => watched().event(1, "progress", 1n),
    () => watched().put(5n, "five", 2n).event(1, "progress", 2n),
  ],
  [
    "W7",
    "an older state after progress",
    () => watched().event(1, "progress", 1n),
    () => exists().put(5n, "five", 2n).watch(1).event(1, "progress", 2n).current(1, 5n, "five", 2n),
  ],
  ["W6", "a last state that came late", () => late().late(3_000, 2_000), () => late().late(3_000, 1_000)],
  [
    "W7",
    "silence",
    () => watched().event(1, "progress", 1n, { ms: 20_000 }).late(15_000, 11_000),
    () => watched().event(1, "progress", 1n, { ms: 20_000 }).late(15_000, 9_000),
  ],
  [
    "W8",
    "progress although the state changed",
    () => watched().put(5n, "five", 2n).resume(2, 0).current(2, 5n, "five", 2n),
    () => watched().put(5n, "five", 2n).resume(2, 0).event(2, "progress", 2n),
  ],
  [
    "W8",
    "a token of the future taken",
    () => watched().resume(2, 0, "future").event(2, "history_reset", 1n).current(2, 0n, "zero", 1n),
    () => watched().resume(2, 0, "future").event(2, "progress", 1n),
  ],
  [
    "W8",
    "a token of another epoch taken",
    () =>
      watched()
        .fault("epoch")
        .resume(2, 0)
        .event(2, "history_reset", 1n, { epoch: "e2" })
        .current(2, 0n, "zero", 1n, { epoch: "e2" }),
    () => watched().fault("epoch").resume(2, 0).event(2, "progress", 1n, { epoch: "e2" }),
  ],
  [
    "W8",
    "a foreign token taken",
    () => watched().resume(2, 0, "foreign").end(2, "INVALID_ARGUMENT", "BAD_RESUME_TOKEN"),
    () => watched().resume(2, 0, "foreign").event(2, "progress", 1n),
  ],
  [
    "W8",
    "a token of before a restore taken",
    () =>
      setBack().resume(2, 0).event(2, "history_reset", 1n, { epoch: "e2" }).current(2, 0n, "zero", 1n, E2),
    () => setBack().resume(2, 0).event(2, "progress", 1n, { epoch: "e2" }),
  ],
  [
    "linearizable",
    "a change that a restore did not undo",
    () => setBack().get(0n, "zero", 1n, E2).put(5n, "other", 2n, E2),
    () => setBack().get(5n, "five", 2n, E2),
  ],
  [
    "D6",
    "a backup without what was there before it",
    () => exists().put(5n, "five", 2n).backup(2n),
    () => exists().put(5n, "five", 2n).backup(1n),
  ],
  [
    "D6",
    "a restore that keeps the epoch",
    () => setBack().get(0n, "zero", 1n, E2),
    () => setBack().get(0n, "zero", 1n),
  ],
  ["rotation", "a record that is left to the old key", () => exists().rotated(0), () => exists().rotated(1)],
  [
    "W9",
    "a restart that forgot the history",
    () => watched().fault("kill").resume(2, 0).event(2, "progress", 1n),
    () => watched().fault("kill").resume(2, 0).event(2, "history_reset", 1n),
  ],
  [
    "W9",
    "an epoch that nobody began",
    () => watched().fault("epoch").get(0n, "zero", 1n, { epoch: "e2" }),
    () => watched().get(0n, "zero", 1n, { epoch: "e2" }),
  ],
  [
    "W10",
    "a get behind what a watcher had seen",
    () =>
      exists()
        .put(5n, "five", 2n, { start: 3, end: 20 })
        .watch(1, { at: 4 })
        .current(1, 5n, "five", 2n, { at: 5 })
        .get(5n, "five", 2n),
    () =>
      exists()
        .put(5n, "five", 2n, { start: 3, end: 20 })
        .watch(1, { at: 4 })
        .current(1, 5n, "five", 2n, { at: 5 })
        .get(0n, "zero", 1n, { start: 6, end: 7 }),
  ],
  [
    "W10",
    "a watch behind what another call had seen",
    () => watched(),
    () => exists().put(5n, "five", 2n).slots(1).event(1, "synced", 1n),
  ],
  [
    "W11",
    "a low put was sent",
    () => script().put(5n, "five", 1n).watch(1).current(1, 5n, "five", 1n),
    () =>
      script()
        .put(5n, "five", 1n)
        .call(
          { op: "put", slot: 3n, value: "three", overwrite: false, disabled: false },
          { code: "OK", slot: 3n, state: "enabled", created: true, current: 5n, revision: 2n },
        )
        .watch(1)
        .current(1, 5n, "five", 2n),
  ],
  [
    "W11",
    "another slot than the next one, once the current was disabled",
    () => exists().put(5n, "five", 2n).disable(5n, 3n).watch(1).current(1, 0n, "zero", 3n),
    () => exists().put(5n, "five", 2n).disable(5n, 3n).watch(1).current(1, 5n, "five", 3n),
  ],
  [
    "W12",
    "a delivery after the grant was taken",
    () => watched().access("grant", 2n).put(5n, "five", 3n).end(1, "PERMISSION_DENIED").settled(),
    () =>
      watched()
        .access("grant", 2n)
        .put(5n, "five", 3n)
        .current(1, 5n, "five", 3n)
        .end(1, "PERMISSION_DENIED")
        .settled(),
  ],
  [
    "W12",
    "a stream that outlives its token",
    () => watched().access("token", 2n).end(1, "UNAUTHENTICATED").settled(),
    () => watched().access("token", 2n).settled(),
  ],
  [
    "W12",
    "a stream that lives on for a while",
    () => watched().access("token", 2n).end(1, "UNAUTHENTICATED", "", { ms: 1_500 }).late(1_400, 600),
    () => watched().access("token", 2n).end(1, "UNAUTHENTICATED", "", { ms: 1_500 }).late(1_400, 100),
  ],
  [
    "W12",
    "a call after its token was revoked",
    () =>
      exists()
        .access("token", 2n)
        .call({ op: "get" }, { code: "UNAUTHENTICATED", reason: "UNAUTHENTICATED" }, { client: 1 }),
    () => exists().access("token", 2n).get(0n, "zero", 1n, { client: 1 }),
  ],
  ["W12", "a refusal without cause", () => watched(), () => watched().end(1, "PERMISSION_DENIED")],
  [
    "W13",
    "one that waits for another's stall",
    () => twoWatchers().current(2, 5n, "five", 2n).settled(2),
    () => twoWatchers().settled(2),
  ],
  [
    "W13",
    "SLOW_CONSUMER for one that reads",
    () => watched().ear("stall", 1).end(1, "UNAVAILABLE", "SLOW_CONSUMER"),
    () => watched().end(1, "UNAVAILABLE", "SLOW_CONSUMER"),
  ],
  [
    "S6",
    "a stream that ends with a fault of the server",
    () => watched().end(1, "INTERNAL", ""),
    () => watched().end(1, "INTERNAL", "INTERNAL"),
  ],
  [
    "S6",
    "a call that is answered with one",
    () => exists(),
    () => exists().call({ op: "get" }, { code: "INTERNAL", reason: "INTERNAL" }),
  ],
  [
    "W14",
    "a client that went back",
    () =>
      exists()
        .put(5n, "five", 2n)
        .applied(1n, ZERO)
        .applied(2n, BOTH, { previous: of(1n) }),
    () =>
      exists()
        .put(5n, "five", 2n)
        .applied(2n, BOTH)
        .applied(1n, ZERO, { previous: of(2n) }),
  ],
  [
    "W14",
    "a change that was shown twice",
    () => exists().applied(1n, ZERO),
    () =>
      exists()
        .applied(1n, ZERO)
        .applied(1n, ZERO, { previous: of(1n) }),
  ],
  [
    "W14",
    "a state that was shown twice, as of a newer revision",
    () =>
      exists()
        .put(5n, "five", 2n)
        .disable(5n, 3n)
        .applied(1n, ZERO)
        .applied(3n, ZERO, { previous: of(1n) }),
    () =>
      exists()
        .applied(1n, ZERO)
        .put(5n, "five", 2n)
        .applied(2n, ZERO, { previous: of(1n) }),
  ],
  [
    "W14",
    "a change that was not shown",
    () =>
      exists()
        .put(5n, "five", 2n)
        .put(7n, "seven", 3n)
        .applied(2n, BOTH)
        .applied(3n, ALL, { previous: of(2n) }),
    () =>
      exists()
        .put(5n, "five", 2n)
        .put(7n, "seven", 3n)
        .applied(1n, ZERO)
        .applied(3n, ALL, { previous: of(2n) }),
  ],
  [
    "W14",
    "a mixture of two states",
    () => exists().put(5n, "five", 2n).put(7n, "seven", 3n).applied(3n, ALL),
    () => exists().put(5n, "five", 2n).put(7n, "seven", 3n).applied(3n, ALL.slice(1)),
  ],
  [
    "W14",
    "a client without an answer",
    () => exists().applied(1n, ZERO).answers(1n),
    () => exists().applied(1n, ZERO).answers(1n, { ok: false }),
  ],
  [
    "W14",
    "an answer that was not shown",
    () => exists().put(5n, "five", 2n).applied(1n, ZERO).answers(1n),
    () => exists().put(5n, "five", 2n).applied(1n, ZERO).answers(2n),
  ],
  [
    "W14",
    "an age that is too young with the server gone",
    () => exists().applied(1n, ZERO).answers(1n, { ms: 900, ageMs: 500, unheardSince: 450 }),
    () => exists().applied(1n, ZERO).answers(1n, { ms: 900, ageMs: 400, unheardSince: 450 }),
  ],
  [
    "W2",
    "a deletion that is not known, though nothing is forgotten",
    () => exists().delete(2n).forgotten(2n).watch(1).absent(1, 0n),
    () => exists().delete(2n).watch(1).absent(1, 0n),
  ],
  [
    "W8",
    "a token of what is forgotten",
    () => forgotten().event(2, "history_reset", 2n).absent(2, 2n),
    () => forgotten().event(2, "progress", 2n),
  ],
  [
    "W6",
    "a client that lacks the last state",
    () => exists().applied(1n, ZERO).settledClient(10, 20),
    () => exists().put(5n, "five", 2n).applied(1n, ZERO).settledClient(10, 20),
  ],
  [
    "W6",
    "a client that never began",
    () => script().settledClient(10, 20),
    () => exists().settledClient(10, 20),
  ],
  [
    "W6",
    "a client that had the last state too late",
    () => exists().applied(1n, ZERO, { ms: 5_000 }).settledClient(1_000, 6_000, { downMs: 1_500 }),
    () => exists().applied(1n, ZERO, { ms: 5_000 }).settledClient(1_000, 6_000),
  ],
  [
    "W6",
    "a client that was back too late",
    // Nothing had been heard before.
    () => exists().applied(1n, ZERO, { ms: 11_000 }).settledClient(1_000, 12_000, { downMs: 1_500 }),
    () =>
      exists()
        .applied(1n, ZERO, { ms: 500 })
        .put(5n, "five", 2n)
        .applied(2n, BOTH, { ms: 11_000 })
        .settledClient(1_000, 12_000, { downMs: 1_500 }),
  ],
];

const of = (revision: bigint) => ({ epoch: "e1", revision });
const ZERO = [[0n, "zero"]] as const;
const BOTH = [...ZERO, [5n, "five"]] as const;
const ALL = [...BOTH, [7n, "seven"]] as const;
const E2 = { epoch: "e2" };

/** Slot 5 was put after a backup that was restored then. */
function setBack(): Script {
  return watched()
    .backup(1n)
    .put(5n, "five", 2n)
    .current(1, 5n, "five", 2n)
    .end(1, "UNAVAILABLE")
    .restore(1n);
}

/** A watcher of a secret that is deleted goes on with a token of before, and nobody knows of it any more. */
function forgotten(): Script {
  return watched().end(1, "UNAVAILABLE").delete(2n).forgotten(2n).resume(2, 0, "lost");
}

/** Beside an enable, which finds the work of the put done; `value` is what is read then. */
function putOverDisabled(value: string): Script {
  return script()
    .call(
      { op: "put", slot: 5n, value: "five", overwrite: false, disabled: true },
      { code: "OK", slot: 5n, state: "disabled", created: true, current: undefined, revision: 1n },
    )
    .call(
      { op: "put", slot: 5n, value: "six", overwrite: true, disabled: false },
      { code: "OK", slot: 5n, state: "enabled", created: false, current: 5n, revision: 2n },
      { start: 4, end: 6 },
    )
    .call(
      { op: "enable", slot: 5n },
      { code: "OK", slot: 5n, state: "enabled", slotRevision: 2n, revision: 2n },
      { start: 3, end: 7 },
    )
    .get(5n, value, 2n, { start: 8, end: 9 });
}

/** The last state came 2.9 s after the last write. */
function late(): Script {
  return watched().put(5n, "five", 2n).current(1, 5n, "five", 2n, { ms: 3_000 }).settledLate(100, 3_100, 1);
}

function twoWatchers(): Script {
  return watched().watch(2, { watcher: 2 }).current(2, 0n, "zero", 1n).ear("stall", 1).put(5n, "five", 2n);
}

/** A stalled reader that is sent `stale` large states which were overwritten long ago. */
function flooded(stale: number): Script {
  const written = script().put(0n, large("v1"), 1n).watch(1).current(1, 0n, large("v1"), 1n).ear("stall", 1);
  for (let n = 2n; n <= 41n; n++) {
    const op = { op: "put", slot: 0n, value: large(`v${n}`), overwrite: true, disabled: false } as const;
    written.call(op, { code: "OK", slot: 0n, state: "enabled", created: false, current: 0n, revision: n });
  }
  written.ear("flow", 1);
  for (let n = 42n - BigInt(stale); n <= 41n; n++) written.current(1, 0n, large(`v${n}`), n);
  return written;
}

describe("validators", () => {
  test.each(CASES)("%s: %s", (promise, _, good, bad) => {
    const broken = eras(bad().entries).flatMap((era) => VALIDATORS[promise](era));
    expect(broken.length, "the bad history passes").toBeGreaterThan(0);
    expect(check(good().entries)).toEqual([]);
  });

  test("each promise has a case", () => {
    expect(new Set(CASES.map(([promise]) => promise))).toEqual(new Set(Object.keys(VALIDATORS)));
  });

  test("a history comes back from its file as it was", () => {
    const { entries } = flooded(2);
    expect(fromJsonLines(toJsonLines(entries))).toEqual(entries);
  });
});
