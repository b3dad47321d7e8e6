import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Content, Disk } from "./disk.ts";
import type { Fate } from "./disk-file.ts";
import { Random } from "./random.ts";
import type { RecordedRun } from "./recorded-run.ts";

/** Fates that leave one thing, and those that leave one of many. */
const PLAIN = ["none", "all"] as const;
const MANY = ["start", "sectors", "end", "mixed"] as const;

export interface Cut {
  /** How many calls were made before it. */
  readonly at: number;
  readonly fate: Fate;
  readonly seed: number;
}

/** What is wrong with what a cut at that time (Unix milliseconds) left in a folder; undefined when nothing is. */
export type Judge = (folder: string, time: number) => string | undefined | Promise<string | undefined>;

export interface Problem {
  readonly cut: Cut;
  readonly problem: string;
}

export interface Played {
  readonly problems: readonly Problem[];
  /** How many different states were left. */
  readonly distinct: number;
}

/**
 * Cuts of the power, each with its fate for what was not synced, in the order of the calls. One of ten comes right after
 * something was told, when all of that must be there; the others at that of two moments at which more was at risk, where
 * many different things can be left.
 */
export function chooseCuts(run: RecordedRun, count: number, random: Random): readonly Cut[] {
  const disk = new Disk(run.before);
  const atRisk = [disk.atRisk];
  for (const { call } of run.calls) {
    disk.play(call);
    atRisk.push(disk.atRisk);
  }
  const moments = [...atRisk.keys()];
  const told = [...new Set(run.told.map(({ time }) => moments.find((at) => timeOf(run, at) >= time) ?? 0))];
  const choose = () => {
    if (told.length > 0 && random.chance(0.1)) return random.pick(told);
    const [one, other] = [random.pick(moments), random.pick(moments)];
    return (atRisk[one] ?? 0) > (atRisk[other] ?? 0) ? one : other;
  };
  return Array.from({ length: count }, () => ({
    at: choose(),
    fate: random.pick(random.chance(0.1) ? PLAIN : MANY),
    seed: random.below(2 ** 32),
  })).sort((a, b) => a.at - b.at);
}

/** Plays the calls up to each cut, and has what it left judged in that folder. */
export async function playCuts(
  run: RecordedRun,
  cuts: readonly Cut[],
  folder: string,
  judge: Judge,
): Promise<Played> {
  const disk = new Disk(run.before);
  const problems: Problem[] = [];
  const states = new Set<string>();
  let played = 0;
  for (const cut of cuts) {
    for (; played < cut.at; played += 1) disk.play(run.calls[played]!.call);
    const left = disk.left(cut.fate, new Random(cut.seed), run.root);
    states.add(digestOf(left));
    put(left, run.root, folder);
    const problem = await judge(folder, timeOf(run, cut.at));
    if (problem !== undefined) problems.push({ cut, problem });
  }
  rmSync(folder, { recursive: true, force: true });
  return { problems, distinct: states.size };
}

export function problemText({ cut: { at, fate, seed }, problem }: Problem): string {
  return `cut before call ${at}, fate ${fate}, seed ${seed}: ${problem}`;
}

/** What follows a cut never happened: its time is that of the first call that was not made any more. */
function timeOf({ calls }: RecordedRun, at: number): number {
  return calls[at]?.time ?? Number.POSITIVE_INFINITY;
}

function put(content: Content, from: string, into: string): void {
  rmSync(into, { recursive: true, force: true });
  for (const [path, bytes] of content) {
    const place = join(into, path.slice(from.length));
    if (bytes === "folder") mkdirSync(place, { mode: 0o700 });
    else writeFileSync(place, bytes, { mode: 0o600 });
  }
}

function digestOf(content: Content): string {
  const digest = createHash("sha1");
  for (const [path, bytes] of content) digest.update(`${path}\0${bytes.length}\0`).update(bytes);
  return digest.digest("base64");
}
