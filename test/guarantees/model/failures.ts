import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Entry, toJsonLines, type Violation } from "./history.ts";
import type { Program } from "./program.ts";

const DIRECTORY = join(import.meta.dirname, "../failures");

/** What is kept of a run that broke a promise. */
export interface Failure {
  readonly program: Program;
  readonly history: readonly Entry[];
  readonly violations: readonly Violation[];
}

/** Keeps a failure as `<name>.json` and its history beside it; says what broke and how to run it again. */
export function keep(name: string, { program, history, violations }: Failure): string {
  mkdirSync(DIRECTORY, { recursive: true });
  const file = join(DIRECTORY, `${name}.json`);
  writeFileSync(file, `${JSON.stringify({ violations, program }, bigints, 2)}\n`);
  writeFileSync(join(DIRECTORY, `${name}.history.jsonl`), toJsonLines(history));
  const broken = violations.slice(0, 5).map(({ promise, at, text }) => `  ${promise} at ${at}: ${text}`);
  return [
    `${violations.length} promises broken:`,
    ...broken,
    `Kept as ${file}. Run it again:`,
    `  SLOTS_TEST_REPLAY=${file} npm run guarantees -- test/guarantees/model/model.test.ts`,
  ].join("\n");
}

export function readProgram(file: string): Program {
  return (JSON.parse(readFileSync(file, "utf8")) as { program: Program }).program;
}

const bigints = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
