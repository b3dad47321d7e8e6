import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const FAILURES = join(import.meta.dirname, "../failures");

/** Keeps a failing case as a file, with the command that plays it again, and fails with where it is. */
export function failWith(what: string, replay: string, details: string): never {
  mkdirSync(FAILURES, { recursive: true });
  const file = join(FAILURES, `${what}-${Date.now()}.txt`);
  writeFileSync(file, `${replay}\n\n${details}\n`);
  throw new Error(`${details.slice(0, 4000)}\nkept in ${file}; to see it again:\n  ${replay}`);
}

const PLAIN = /^[\w.,:/@+-]*$/;

/** The command that repeats a run: its seed, and every other variable of these tests that was set for it. */
export function replayOf(file: string, seed: number): string {
  const given = Object.entries(process.env)
    .filter(([name]) => name.startsWith("SLOTS_TEST_") && name !== "SLOTS_TEST_SEED")
    .map(
      ([name, value = ""]) => `${name}=${PLAIN.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`}`,
    );
  return [`SLOTS_TEST_SEED=${seed}`, ...given, "npm run guarantees --", file].join(" ");
}
