import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { NODE, SLOTS } from "../../support/server-process.ts";

/** What an operator does to a store beside its servers. */

export type CheckpointMode = "PASSIVE" | "RESTART" | "TRUNCATE";

/** Moves the WAL into the database from another process, as SQLite's own program would, as far as nobody is in the way. */
export function checkpoint(dataDir: string, mode: CheckpointMode): void {
  const db = new Database(join(dataDir, "store.db"), { fileMustExist: true, timeout: 20 });
  try {
    db.pragma(`wal_checkpoint(${mode})`);
  } catch (error) {
    // A server is just being started.
    if (!(error instanceof Database.SqliteError && /^SQLITE_(BUSY|PROTOCOL)/.test(error.code))) throw error;
  } finally {
    db.close();
  }
}

/** How many records a key wraps that is not the primary, whether or not the store still knows it. */
export function wrappedByOthers(dataDir: string): number {
  const db = new Database(join(dataDir, "store.db"), { fileMustExist: true, readonly: true });
  try {
    const sql =
      "SELECT count(*) FROM slots WHERE key_id NOT IN (SELECT key_id FROM master_keys WHERE is_primary = 1)";
    return db.prepare(sql).pluck().get() as number;
  } finally {
    db.close();
  }
}

/** Where a store stands: its revision, and up to which one its changes are forgotten. */
export function standOf(dataDir: string): { readonly revision: bigint; readonly floor: bigint } {
  const db = new Database(join(dataDir, "store.db"), { fileMustExist: true, readonly: true });
  try {
    const row = db.prepare("SELECT revision, floor FROM store").safeIntegers().get();
    return row as { revision: bigint; floor: bigint };
  } finally {
    db.close();
  }
}

/** Runs a command of `slots` and gives what it printed. */
export async function slots(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, unknown>>> {
  const { stdout } = await promisify(execFile)(NODE, [SLOTS, ...args, "--output", "json"], {
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout);
}
