import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import { Random } from "../support/random.ts";
import { type FuzzCase, playRound, type Tally, WrongAnswers } from "./round.ts";
import { shrunk } from "./shrink.ts";
import { TargetServer } from "./target-server.ts";

/** Inputs for each RPC in one round; after each, everything must be well. */
export const ROUND = 1000;
/** A store and an audit log that grow for ever would make every later input slower. */
const ROUNDS_A_SERVER = 10;
const FOLDER = join(import.meta.dirname, "../failures");
const ROOT = join(import.meta.dirname, "../../..");

export interface Campaign {
  readonly methods: readonly DescMethod[];
  /** For each RPC. */
  readonly inputs: number;
  readonly seed: number;
  /** Told after each round. */
  readonly progress: (status: Progress) => void;
}

export interface Progress {
  /** Sent so far, for each RPC. */
  readonly inputs: number;
  readonly tally: Tally;
  readonly goodCalls: number;
  readonly slowestMs: number;
  /** Of processor time, that one thread of a server took while the good client waited. */
  readonly busiestMs: number;
  /** The most that a server grew by. */
  readonly grownBytes: number;
}

/** A failure as it is kept. */
export interface KeptFailure {
  readonly message: string;
  readonly seed: number;
  /** The one that fails alone, made small; else all that were on their way. */
  readonly cases: readonly (Omit<FuzzCase, "bytes"> & { readonly hex: string })[];
}

/** Sends inputs to every RPC at once, round after round, until one gets an answer that it must not. */
export async function runCampaign({ methods, inputs, seed, progress }: Campaign): Promise<Progress> {
  const random = new Random(seed);
  const tally: Tally = new Map();
  let target: TargetServer | undefined;
  let goodCalls = 0;
  let slowestMs = 0;
  let busiestMs = 0;
  let grownBytes = 0;
  const status = (sent: number): Progress => {
    const calls = target?.calls ?? { count: 0, slowestMs: 0, busiestMs: 0 };
    slowestMs = Math.max(slowestMs, calls.slowestMs);
    busiestMs = Math.max(busiestMs, calls.busiestMs);
    return { inputs: sent, tally, goodCalls: goodCalls + calls.count, slowestMs, busiestMs, grownBytes };
  };
  try {
    let sent = 0;
    for (let round = 0; sent < inputs; round += 1) {
      if (round % ROUNDS_A_SERVER === 0) {
        goodCalls += target?.calls.count ?? 0;
        await target?.stop();
        // As one process now and then; else with two workers, which keep two cores busy.
        target = await TargetServer.start({ workers: (round / ROUNDS_A_SERVER) % 5 === 0 ? 1 : 2 });
      }
      const count = Math.min(ROUND, inputs - sent);
      await playRound(target!, methods, count, random.below(2 ** 32), tally);
      await target!.mustBeWell();
      grownBytes = Math.max(grownBytes, target!.grownBytes);
      sent += count;
      progress(status(sent));
    }
    return status(sent);
  } catch (error) {
    const cases = error instanceof WrongAnswers ? await shrunk(error.inputs) : [];
    throw kept(error as Error, seed, cases);
  } finally {
    await target?.stop();
  }
}

function kept({ message }: Error, seed: number, cases: readonly FuzzCase[]): Error {
  const failure: KeptFailure = {
    message,
    seed,
    cases: cases.map(({ bytes, ...each }) => ({ ...each, hex: bytes.toString("hex") })),
  };
  mkdirSync(FOLDER, { recursive: true });
  const file = join(FOLDER, `fuzz-${Date.now()}.json`);
  writeFileSync(file, `${JSON.stringify(failure, undefined, 2)}\n`);
  const replay = `npm run fuzz -- --replay ${relative(ROOT, file)}`;
  return new Error(`${message.slice(0, 4000)}\nto see it again: ${replay}`);
}
