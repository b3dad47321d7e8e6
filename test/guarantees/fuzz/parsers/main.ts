import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { countOf, Random, seedOf } from "../../support/random.ts";
import { smallest } from "../smallest.ts";
import { Coverage } from "./coverage.ts";
import { fuzzParser, type ParserTarget, problemWith } from "./guided.ts";
import { wordsOf } from "./words.ts";

/**
 * Fuzzing of our own parsers, led by what runs inside them:
 *
 *   npm run fuzz:parsers                             what each run of the tests does
 *   npm run fuzz:parsers -- --seconds 3600 --learn   for an hour, keeping what was learnt
 *   npm run fuzz:parsers -- --only "resume token"
 *   npm run fuzz:parsers -- --replay FILE
 */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: `${countOf("SLOTS_TEST_PARSER_SECONDS", 25)}` },
    only: { type: "string" },
    learn: { type: "boolean", default: false },
    replay: { type: "string" },
  },
});
const ROOT = join(import.meta.dirname, "../../../..");
const CORPUS = join(import.meta.dirname, "corpus.json");
const FAILURES = join(import.meta.dirname, "../../failures");
const PLANTED_EXECUTIONS = 2_000_000;

// Before the parsers are imported: V8 counts blocks only of what it compiled while it was asked to.
const coverage = new Coverage((url) => url.includes("/src/") || url.endsWith("/planted.ts"));
const { parsePlanted } = await import("./planted.ts");
const [{ STORED }, { WIRE }, { WRITTEN }] = await Promise.all([
  import("./stored.ts"),
  import("./wire.ts"),
  import("./written.ts"),
]);
const TARGETS: readonly ParserTarget[] = [...WIRE, ...STORED, ...WRITTEN];
const corpus = JSON.parse(readFileSync(CORPUS, "utf8")) as Record<string, string[]>;

if (values.replay === undefined) run(seedOf("parsers"));
else replay(values.replay);

function run(seed: number): void {
  const random = new Random(seed);
  findPlanted(random.fork());
  const targets = TARGETS.filter(({ name }) => values.only === undefined || name === values.only);
  if (targets.length === 0)
    throw new Error(`there is no such parser; there are ${TARGETS.map(({ name }) => name)}`);
  for (const target of targets) {
    const known = (corpus[target.name] ?? []).map((each) => Buffer.from(each, "base64"));
    const end = usedSeconds() + Number(values.seconds) / targets.length;
    const result = fuzzParser(target, {
      random: random.fork(),
      coverage,
      words: wordsOf(target.modules),
      corpus: known,
      goOn: () => usedSeconds() < end,
    });
    console.log(
      `${target.name}: ${result.executions} executions, ${known.length} + ${result.learnt.length} in the corpus`,
    );
    if (result.finding !== undefined) fail(target, result.finding.input, seed);
    corpus[target.name] = [...known, ...result.learnt].map((each) => each.toString("base64"));
  }
  if (values.learn) writeFileSync(CORPUS, `${JSON.stringify(corpus, undefined, 1)}\n`);
}

/** Of the processor, by this process: a machine that does other things, too, must not make less of a run. */
function usedSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The fuzzer's own test: it finds a fault that chance does not find in twice as many executions. */
function findPlanted(random: Random): void {
  const planted: ParserTarget = {
    name: "planted",
    modules: [],
    seeds: ["hello, world"],
    check: (input) => void parsePlanted(input),
  };
  const options = { words: [], corpus: [], goOn: (executions: number) => executions < PLANTED_EXECUTIONS };
  const led = fuzzParser(planted, { ...options, random: random.fork(), coverage });
  if (led.finding === undefined)
    throw new Error(`the planted fault was not found in ${led.executions} executions`);
  const budget = 2 * led.executions;
  const blind = fuzzParser(planted, {
    ...options,
    random: random.fork(),
    coverage: undefined,
    goOn: (executions) => executions < budget,
  });
  if (blind.finding !== undefined)
    throw new Error("the planted fault was found by chance: plant one that is deeper");
  console.log(
    `planted fault: found in ${led.executions} executions; not in ${blind.executions} without coverage`,
  );
}

function fail(target: ParserTarget, input: Buffer, seed: number): never {
  const small = smallest(input, (bytes) => problemWith(target.check, bytes) !== undefined);
  mkdirSync(FAILURES, { recursive: true });
  const file = join(FAILURES, `parser-${target.name.replaceAll(" ", "-")}-${Date.now()}.json`);
  const problem = problemWith(target.check, small);
  writeFileSync(
    file,
    `${JSON.stringify({ parser: target.name, seed, hex: small.toString("hex"), problem }, undefined, 2)}\n`,
  );
  throw new Error(
    `${target.name}: ${problem}\nof ${JSON.stringify(small.toString())}\nto see it again: ` +
      `npm run fuzz:parsers -- --replay ${relative(ROOT, file)}`,
  );
}

function replay(file: string): void {
  const { parser, hex } = JSON.parse(readFileSync(file, "utf8"));
  const target = TARGETS.find(({ name }) => name === parser);
  if (target === undefined) throw new Error(`there is no parser '${parser}'`);
  const problem = problemWith(target.check, Buffer.from(hex, "hex"));
  console.log(problem ?? "as it should be");
  if (problem !== undefined) process.exitCode = 1;
}
