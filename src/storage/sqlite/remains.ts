import { lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { storeFiles } from "./files.ts";

/** Where a restore works; with no store beside it, the restore did not come to its end. */
const RESTORE = /^(?:\.restore-|store\.db\.restore-[0-9a-f]{12})/;
/** A copy for a backup; drafts of a store, of a key and of a token, which have their own name only once they are whole. */
const DRAFT = /^(?:backup-[0-9a-f]{16}\.tmp|(?:store\.db|master\.key|admin\.token)\.new-[0-9a-f]{12})/;
/** Nobody works on something for so long without writing to it. */
const ABANDONED_MS = 10 * 60 * 1000;

/** What restores that were cut left in a data directory, or are at now. Paths. */
export function restoreRemains(dataDir: string): readonly string[] {
  return readdirSync(dataDir)
    .filter((name) => RESTORE.test(name))
    .map((name) => join(dataDir, name));
}

/**
 * Removes from a directory that has a store what killed processes left there: half-made files that nobody asks for, one
 * of which may hold what is destroyed by now.
 */
export function removeRemains(dataDir: string, now: number): void {
  const store = lstatSync(storeFiles(dataDir).file).ino;
  for (const path of restoreRemains(dataDir)) rmSync(path, { recursive: true, force: true });
  for (const name of readdirSync(dataDir)) {
    if (!DRAFT.test(name)) continue;
    const path = join(dataDir, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    // A kill between the two names of a new store leaves both: what is written to the one is the other's, too.
    const abandoned = stat !== undefined && (stat.ino === store || now - stat.mtimeMs > ABANDONED_MS);
    if (abandoned) rmSync(path, { force: true });
  }
}
