import { rmSync } from "node:fs";
import { Disk, FATES, type Fate } from "./disk.ts";
import { Random } from "./random.ts";
import type { RecordedRun } from "./recorded-run.ts";

export interface Cut {
  readonly at: number;
  readonly fate: Fate;
  readonly seed: number;
}

/** What is wrong with what a cut at that time (Unix milliseconds) left in a folder; undefined when nothing is. */
export type Judge = (folder: string, time: number) => string | undefined | Promise<string | undefined>;

/** Cuts of the power at any call, each with its fate for what was not synced, in the order of the calls. */
export function chooseCuts(run: RecordedRun, count: number, random: Random): readonly Cut[] {
  return Array.from({ length: count }, () => ({
    at: random.below(run.calls.length + 1),
    fate: random.pick(FATES),
    seed: random.below(2 ** 32),
  })).sort((a, b) => a.at - b.at);
}

/** Plays the calls up to each cut and says of each what is wrong with what is left, if anything is. */
export async function playCuts(
  run: RecordedRun,
  cuts: readonly Cut[],
  folder: string,
  judge: Judge,
): Promise<readonly string[]> {
  const disk = new Disk();
  disk.adopt(run.root, "folder");
  const problems: string[] = [];
  let played = 0;
  for (const { at, fate, seed } of cuts) {
    for (; played < at; played += 1) disk.play(run.calls[played]!.call);
    disk.cut(fate, new Random(seed), run.root, folder);
    // What follows the cut never happened: the time is that of the first call that was not made any more.
    const time = run.calls[at]?.time ?? Number.POSITIVE_INFINITY;
    const problem = await judge(folder, time);
    if (problem !== undefined) problems.push(`cut before call ${at}, fate ${fate}, seed ${seed}: ${problem}`);
  }
  rmSync(folder, { recursive: true, force: true });
  return problems;
}
