import { test } from "vitest";
import { findLosses, holdPowerCuts } from "./support/power-cuts.ts";
import { countOf, type Random } from "./support/random.ts";
import { judgeBackups, judgeKeys, judgeStore, serveRestored, serveStore } from "./support/store-judges.ts";
import { backupAndRestore, firstLife, laterLives, rotation } from "./support/stories.ts";

/** Some of them leave the same: more than 5,000 states are different. */
const STATES = countOf("SLOTS_TEST_POWER_CUTS", 5500);
/** Of each of the other kinds of run. */
const MORE = countOf("SLOTS_TEST_MORE_POWER_CUTS", 200);
/** Enough for several checkpoints, and few enough that most cuts meet another moment of the store's life. */
const WRITES = 300;

const file = "power-cut";
const limitOf = (states: number) => Math.max(900_000, states * 100);

test(
  `${STATES} power cuts lose nothing that was answered (D1, D2, D3)`,
  (context) =>
    holdPowerCuts(context, {
      ...{ file, kind: "a first life", states: STATES, judge: judgeStore },
      record: (random) => firstLife({ random, writes: WRITES }),
      served: { states: 6, judge: serveStore },
    }),
  limitOf(STATES),
);

test(
  `${MORE} power cuts in a store's later lives, some of which were killed, lose nothing (D1, D2, D3)`,
  (context) =>
    holdPowerCuts(context, {
      ...{ file, kind: "later lives", states: MORE, judge: judgeStore },
      record: (random) => laterLives({ random, writes: 90 }),
      served: { states: 2, judge: serveStore },
    }),
  limitOf(MORE),
);

test(
  `${MORE} power cuts in a rotation of the master key leave the keys of every record (D1)`,
  (context) =>
    holdPowerCuts(context, {
      ...{ file, kind: "a rotation", states: MORE, judge: judgeKeys },
      record: (random) => rotation({ random }),
    }),
  limitOf(MORE),
);

test(
  `${MORE} power cuts in a backup and its restore leave each whole or not there (D6)`,
  (context) =>
    holdPowerCuts(context, {
      ...{ file, kind: "a backup and its restore", states: MORE, judge: judgeBackups },
      record: (random) => backupAndRestore({ random }),
      served: { states: 3, judge: serveRestored },
    }),
  limitOf(MORE),
);

test.for([
  {
    ...{ kind: "a first life, weak flushes", states: 150, judge: judgeStore },
    record: (random: Random) => firstLife({ random, writes: 120, planted: "weak flushes" }),
  },
  {
    ...{ kind: "later lives, only new names flushed", states: 40, judge: judgeStore },
    record: (random: Random) => laterLives({ random, writes: 18, planted: "only new names flushed" }),
  },
  {
    ...{ kind: "a backup and its restore, names not flushed", states: 40, judge: judgeBackups },
    record: (random: Random) => backupAndRestore({ random, planted: "names not flushed" }),
  },
])("the replayer finds what flushing less would lose: $kind (its own test)", (weak, context) =>
  findLosses(context, { file, ...weak }),
);
