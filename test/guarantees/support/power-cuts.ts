import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect, type TestContext } from "vitest";
import { type Cut, chooseCuts, type Judge, type Played, playCuts, problemText } from "./cuts.ts";
import { FAILURES, failWith } from "./failures.ts";
import { needs } from "./needs.ts";
import { Random, seedOf } from "./random.ts";
import { keepRun, type RecordedRun, readKeptRun } from "./recorded-run.ts";

/** A kept recording that is played again, at the cuts that were wrong. */
const KEPT = process.env.SLOTS_TEST_RECORDING;

interface Kept {
  readonly kind: string;
  /** Whether whole servers found it. */
  readonly served: boolean;
  readonly cuts: readonly Cut[];
}

export interface PowerCuts {
  /** The test file, as `npm run guarantees -- FILE` takes it. */
  readonly file: string;
  /** Names the recording in the output, and a kept one. */
  readonly kind: string;
  readonly states: number;
  readonly record: (random: Random) => Promise<RecordedRun>;
  readonly judge: (run: RecordedRun) => Judge;
  /** A few more, by whole servers. */
  readonly served?: { readonly states: number; readonly judge: (run: RecordedRun) => Judge };
}

/** Records, cuts the power and has every state judged; fails unless each is as it should be. */
export async function holdPowerCuts(context: TestContext, cuts: PowerCuts): Promise<void> {
  const { kind, judge, served } = cuts;
  if (KEPT !== undefined) {
    const { run, more } = readKeptRun<Kept>(KEPT);
    if (more.kind !== kind) context.skip();
    const judged = (more.served ? served?.judge : undefined) ?? judge;
    const played = await inFolder((folder) => playCuts(run, more.cuts, folder, judged(run)));
    expect(played.problems.map(problemText)).toEqual([]);
    return;
  }
  const { run, random, played } = await cutPower(context, cuts);
  failUnlessNone(run, cuts, false, played);
  if (served === undefined) return;
  const few = chooseCuts(run, served.states, random);
  failUnlessNone(run, cuts, true, await inFolder((folder) => playCuts(run, few, folder, served.judge(run))));
}

/** The same of a run in which something was made weaker: what is then lost must be found. */
export async function findLosses(context: TestContext, cuts: PowerCuts): Promise<void> {
  if (KEPT !== undefined) context.skip();
  const { played } = await cutPower(context, cuts);
  expect(played.problems.length).toBeGreaterThan(0);
}

async function cutPower(context: TestContext, { kind, states, record, judge }: PowerCuts) {
  if (!needs("strace")) context.skip();
  const random = new Random(seedOf(kind));
  const began = Date.now();
  const run = await record(random.fork());
  const recorded = Date.now();
  const chosen = chooseCuts(run, states, random.fork());
  const played = await inFolder((folder) => playCuts(run, chosen, folder, judge(run)));
  const seconds = (ms: number) => Math.round(ms / 1000);
  console.log(
    `${kind}: ${states} cuts of ${run.calls.length} calls, ${played.distinct} different states, ` +
      `${played.problems.length} wrong; recorded in ${seconds(recorded - began)} s, ` +
      `opened in ${seconds(Date.now() - recorded)} s`,
  );
  return { run, random, played };
}

/** What a seed repeats is choices, not what a server made of them: the recording itself is kept. */
function failUnlessNone(
  run: RecordedRun,
  { file, kind }: PowerCuts,
  served: boolean,
  { problems }: Played,
): void {
  if (problems.length === 0) return;
  mkdirSync(FAILURES, { recursive: true });
  const kept = join(FAILURES, `${kind.replaceAll(/\W+/g, "-")}-${Date.now()}.recording`);
  keepRun<Kept>(kept, { run, more: { kind, served, cuts: problems.map(({ cut }) => cut) } });
  failWith(
    file,
    `SLOTS_TEST_RECORDING=${relative(process.cwd(), kept)} npm run guarantees -- ${file}`,
    `${kind}: ${problems.length} states are wrong\n${problems.map(problemText).join("\n")}`,
  );
}

/** In memory where there is such a folder: what a cut left is written and removed thousands of times. */
async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const work = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slots-cut-"));
  try {
    return await use(join(work, "state"));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
