import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countOf } from "../support/random.ts";
import { check } from "./check.ts";
import { type Failure, keep, readProgram } from "./failures.ts";
import { type Program, program, programsOf } from "./program.ts";
import { run } from "./run.ts";
import { seed } from "./seed.ts";
import { World, type WorldOptions } from "./world.ts";

/** `SLOTS_TEST_SEQUENCES=1000000` runs as many; `SLOTS_TEST_SEED` begins elsewhere; `SLOTS_TEST_REPLAY` runs a kept one. */
const SEQUENCES = countOf("SLOTS_TEST_SEQUENCES", 2_000);
const REPLAY = process.env.SLOTS_TEST_REPLAY;
/** `SLOTS_TEST_EMPHASIS=keys` runs programs of that kind alone. */
const EMPHASIS = process.env.SLOTS_TEST_EMPHASIS;
const PROGRAMS = EMPHASIS === undefined ? program : programsOf(EMPHASIS);
/**
 * Worlds side by side, for a run waits for its servers most of the time. Each has two servers on one store: the second
 * lane's keeps nothing in memory, the third lane's first one has two workers.
 */
const LANES: readonly WorldOptions[] = [
  {},
  { servers: [[], ["--cache-bytes", "0"]] },
  { servers: [["--workers", "2"], []] },
  {},
];
/** How long a failure is made smaller before it is reported as it is. */
const SHRINK_MS = 60_000;
/** Timers know no more; one that is asked for longer is over at once. */
const LONGEST_MS = 2 ** 31 - 1;

describe("random programs against real servers", () => {
  if (REPLAY !== undefined) {
    test(`again: ${REPLAY}`, async () => {
      const lane = Number(/lane-(\d+)/.exec(REPLAY)?.[1] ?? 0);
      const world = await World.start(LANES[lane]);
      try {
        const chosen = readProgram(REPLAY);
        const history = await run(world, chosen, { prefix: "replay" });
        const violations = check(history);
        expect(violations, keep("replay", { program: chosen, history, violations })).toEqual([]);
      } finally {
        await world.close();
      }
    });
    return;
  }

  test(
    `${SEQUENCES} sequences keep every promise (seed ${seed})`,
    async () => {
      const began = performance.now();
      const reports = await Promise.all(LANES.map((options, lane) => runLane(lane, options)));
      const seconds = ((performance.now() - began) / 1000).toFixed(0);
      console.log(
        `${SEQUENCES} sequences, seed ${seed}, ${LANES.length} worlds of two servers: ${seconds} s`,
      );
      expect(reports.filter((report) => report !== undefined).join("\n\n")).toBe("");
    },
    Math.min(Math.max(900_000, SEQUENCES * 5_000), LONGEST_MS),
  );
});

/** Its share of the sequences, one after the other in one world; what failed first, made as small as it went. */
async function runLane(lane: number, options: WorldOptions): Promise<string | undefined> {
  let world = await World.start(options);
  let sequence = 0;
  let smallest: Failure | undefined;
  let failedAt = Number.POSITIVE_INFINITY;
  const property = fc.asyncProperty(PROGRAMS, async (chosen: Program) => {
    if (performance.now() - failedAt > SHRINK_MS) return true;
    const outcome = await attempt(world, chosen, `s${sequence++}`);
    if (outcome.violations.length === 0) return true;
    failedAt = Math.min(failedAt, performance.now());
    smallest = outcome;
    // Whatever state it left behind must not be taken for another failure.
    await world.close();
    world = await World.start(options);
    return false;
  });
  try {
    const numRuns = Math.floor(SEQUENCES / LANES.length) + (lane < SEQUENCES % LANES.length ? 1 : 0);
    const result = await fc.check(property, { numRuns, seed: seed + lane });
    if (smallest === undefined) return result.failed ? String(result.errorInstance) : undefined;
    return `sequence ${result.numRuns} of lane ${lane}: ${keep(`seed-${seed}-lane-${lane}`, smallest)}`;
  } finally {
    await world.close();
  }
}

/** A run that can't go on, a server that died among them, is a failure like any other. */
async function attempt(world: World, chosen: Program, prefix: string): Promise<Failure> {
  try {
    const history = await run(world, chosen, { prefix });
    return { program: chosen, history, violations: check(history) };
  } catch (error) {
    const text = `${error instanceof Error ? error.stack : String(error)}\n${world.output}`;
    return { program: chosen, history: [], violations: [{ promise: "run", at: 0, text }] };
  }
}
