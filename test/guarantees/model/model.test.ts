import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { check } from "./check.ts";
import { type Failure, keep, readProgram } from "./failures.ts";
import { type Program, program } from "./program.ts";
import { run } from "./run.ts";
import { seed } from "./seed.ts";
import { World } from "./world.ts";

/** `SLOTS_TEST_SEQUENCES=1000000` runs as many; `SLOTS_TEST_SEED` begins elsewhere; `SLOTS_TEST_REPLAY` runs a kept one. */
const SEQUENCES = Number(process.env.SLOTS_TEST_SEQUENCES ?? 2_000);
const REPLAY = process.env.SLOTS_TEST_REPLAY;
/** Worlds side by side, each of two server processes: a run waits for its servers most of the time. */
const LANES = 4;
/** How long a failure is made smaller before it is reported as it is. */
const SHRINK_MS = 60_000;

describe("random programs against real servers", () => {
  if (REPLAY !== undefined) {
    test(`again: ${REPLAY}`, async () => {
      const world = await World.start();
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
      const reports = await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane)));
      const seconds = ((performance.now() - began) / 1000).toFixed(0);
      console.log(`${SEQUENCES} sequences, seed ${seed}, ${LANES} worlds of two servers: ${seconds} s`);
      expect(reports.filter((report) => report !== undefined).join("\n\n")).toBe("");
    },
    Math.max(900_000, SEQUENCES * 1_000),
  );
});

/** Its share of the sequences, one after the other in one world; what failed first, made as small as it went. */
async function runLane(lane: number): Promise<string | undefined> {
  let world = await World.start();
  let sequence = 0;
  let smallest: Failure | undefined;
  let failedAt = Number.POSITIVE_INFINITY;
  const property = fc.asyncProperty(program, async (chosen: Program) => {
    if (performance.now() - failedAt > SHRINK_MS) return true;
    const outcome = await attempt(world, chosen, `s${sequence++}`);
    if (outcome.violations.length === 0) return true;
    failedAt = Math.min(failedAt, performance.now());
    smallest = outcome;
    // Whatever state it left behind must not be taken for another failure.
    await world.close();
    world = await World.start();
    return false;
  });
  try {
    const numRuns = Math.floor(SEQUENCES / LANES) + (lane < SEQUENCES % LANES ? 1 : 0);
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
