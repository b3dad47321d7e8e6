import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "../failures");

/** Keeps a failing case as a file, with the command that plays it again, and fails with where it is. */
export function failWith(what: string, replay: string, details: string): never {
  mkdirSync(FOLDER, { recursive: true });
  const file = join(FOLDER, `${what}-${Date.now()}.txt`);
  writeFileSync(file, `${replay}\n\n${details}\n`);
  throw new Error(`${details.slice(0, 4000)}\nkept in ${file}; to see it again:\n  ${replay}`);
}
