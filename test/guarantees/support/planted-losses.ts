import type { SourceEdit } from "./edited-sources.ts";

const FILES = "disk/durable.ts";

/**
 * What makes a program lose what it told, or die where it could have. The tests that look for losses must find these;
 * otherwise they would find nothing at all. `weak flushes` is what `synchronous = NORMAL` does, which no setting can.
 */
export const PLANTED = {
  "weak flushes": [
    {
      file: "storage/sqlite/connection.ts",
      find: `db.pragma("synchronous = FULL");`,
      replace: `db.pragma("synchronous = NORMAL");`,
    },
    { file: "storage/sqlite/connection.ts", find: ` || level !== 2`, replace: "" },
  ],
  "names not flushed": [
    { file: FILES, find: "  let ours = made !== undefined;", replace: "  return; let ours = false;" },
    { file: "cli/backup.ts", find: "    flushNameOf(path);", replace: "" },
  ],
  "only new names flushed": [
    {
      file: FILES,
      find: "    if (made !== undefined && each === resolve(made)) ours = false;",
      replace: "    if (made === undefined || each === resolve(made)) return;",
    },
  ],
  "killed when the folders are made": [
    {
      file: FILES,
      find: "  let ours = made !== undefined;",
      replace: `  let ours = made !== undefined; if (ours) process.kill(process.pid, "SIGKILL");`,
    },
  ],
  "full disk": [
    {
      file: "audit/segment-file.ts",
      find: "  #writeAll(bytes: Uint8Array): void {\n    let done = 0;",
      replace: `  #writeAll(bytes: Uint8Array): void {
    if (this.#allocated === 0 && this.#length > 8000) throw Object.assign(new Error("full"), { code: "ENOSPC" });
    let done = 0;`,
    },
  ],
  "small batches": [
    {
      file: "core/master-keys.ts",
      find: "const REWRAPPED_A_BATCH = 256;",
      replace: "const REWRAPPED_A_BATCH = 8;",
    },
  ],
} satisfies Readonly<Record<string, readonly SourceEdit[]>>;

export type Planted = keyof typeof PLANTED;

/** The environment of a program of ours in which that is planted. */
export function planting(what: Planted | undefined): Readonly<Record<string, string>> {
  if (what === undefined) return {};
  const register = new URL("plant.ts", import.meta.url).href;
  return { NODE_OPTIONS: `--import=${register}`, SLOTS_TEST_PLANTED: what };
}
