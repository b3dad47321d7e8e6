import type { Random } from "../../support/random.ts";
import { damage } from "../damage.ts";
import type { Coverage, Place } from "./coverage.ts";

/** What is fed to one parser, and what must be true whatever comes. */
export interface ParserTarget {
  readonly name: string;
  /** The modules whose coverage counts and whose words are used, by their paths in the repository. */
  readonly modules: readonly string[];
  /** Where to begin: inputs that are good, or nearly. */
  readonly seeds: readonly (string | Uint8Array)[];
  /** Throws when a promise is broken; what the parser itself throws in order is caught in here. */
  readonly check: (input: Buffer) => void;
}

export interface GuidedOptions {
  readonly random: Random;
  /** Left out, nothing is learnt: that is what the fuzzer is measured against. */
  readonly coverage: Coverage | undefined;
  /** Words that mean something to the parser. */
  readonly words: readonly Buffer[];
  /** What earlier runs learnt. */
  readonly corpus: readonly Buffer[];
  readonly goOn: (executions: number) => boolean;
}

export interface GuidedRun {
  readonly executions: number;
  /** What made something run that nothing before it did. */
  readonly learnt: readonly Buffer[];
  readonly finding: { readonly input: Buffer; readonly problem: string } | undefined;
}

/** Asking what ran costs as much as many executions: where little is new, it is asked more rarely. */
const LEAST_BATCH = 32;
const LARGEST_BATCH = 2048;
const LONGEST = 4096;
/** No input may keep a parser busy for longer, milliseconds of this process's own time. */
const MOST_MS = 500;

/** Feeds a parser what becomes of inputs that had made something new run, until a promise breaks. */
export function fuzzParser({ seeds, check }: ParserTarget, options: GuidedOptions): GuidedRun {
  const { random, coverage, words, goOn } = options;
  const learnt: Buffer[] = [];
  let executions = 0;
  let finding: GuidedRun["finding"];

  const run = (input: Buffer): void => {
    executions += 1;
    const problem = problemWith(check, input);
    if (problem !== undefined) finding ??= { input, problem };
  };
  const runAll = (inputs: readonly Buffer[]): void => {
    for (const input of inputs) run(input);
  };
  /** Finds the inputs that make those places run, by halves. */
  const attribute = (inputs: readonly Buffer[], places: Set<Place>): void => {
    if (places.size === 0) return;
    runAll(inputs);
    const ran = coverage?.ranAgain(places) ?? [];
    if (ran.length === 0) return;
    if (inputs.length === 1) {
      learnt.push(inputs[0]!);
      for (const place of ran) places.delete(place);
      return;
    }
    const half = inputs.length >> 1;
    attribute(inputs.slice(0, half), places);
    attribute(inputs.slice(half), places);
  };

  const corpus = [...seeds.map((each) => Buffer.from(each)), ...options.corpus];
  runAll(corpus);
  coverage?.news();
  let batch = LEAST_BATCH;
  while (finding === undefined && goOn(executions)) {
    // What was learnt last is where the unknown is.
    const pool = learnt.length > 0 && random.chance(0.5) ? learnt.slice(-20) : [...corpus, ...learnt];
    const inputs = Array.from({ length: batch }, () => mutated(pool, words, random));
    runAll(inputs);
    const news = coverage?.news() ?? new Set();
    batch = news.size > 0 ? LEAST_BATCH : Math.min(batch * 2, LARGEST_BATCH);
    attribute(inputs, news);
  }
  return { executions, learnt, finding };
}

/** What is wrong with how a check took an input, or undefined. */
export function problemWith(check: ParserTarget["check"], input: Buffer): string | undefined {
  const before = performance.now();
  try {
    check(input);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  if (performance.now() - before < MOST_MS) return undefined;
  // Others may have had the processor: only what this process itself used counts.
  const used = process.cpuUsage();
  check(input);
  const { user, system } = process.cpuUsage(used);
  return user + system > MOST_MS * 1000 ? `takes ${Math.round((user + system) / 1000)} ms` : undefined;
}

function mutated(pool: readonly Buffer[], words: readonly Buffer[], random: Random): Buffer {
  let bytes = random.pick(pool);
  for (let edits = 1 + random.below(4); edits > 0; edits -= 1) {
    bytes =
      random.chance(0.3) && words.length > 0
        ? withWord(bytes, words, random)
        : damage(bytes, random.pick(pool), random);
  }
  return bytes.length > LONGEST ? bytes.subarray(0, LONGEST) : bytes;
}

/** Puts a word in, or over what is there. */
function withWord(bytes: Buffer, words: readonly Buffer[], random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const word = random.pick(words);
  return Buffer.concat([
    bytes.subarray(0, at),
    word,
    bytes.subarray(random.chance(0.5) ? at : at + word.length),
  ]);
}
