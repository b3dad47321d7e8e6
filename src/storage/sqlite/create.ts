import { randomBytes } from "node:crypto";
import { closeSync, openSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { flush, publish } from "../../disk/durable.ts";
import { NO_REVISION } from "../../domain/numbers.ts";
import { assertDurable, BUSY_TIMEOUT_MS, type Connection, configure } from "./connection.ts";
import { headSum } from "./head-row.ts";
import { APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION } from "./schema.ts";

/**
 * Makes a new store under another name and then gives it its own, so that a half-made one is never met: a file
 * that is empty or cut was a store once. Of two processes that do this at a time one wins, and both use its store.
 */
export function createStore(file: string): void {
  const draft = `${file}.new-${randomBytes(6).toString("hex")}`;
  closeSync(openSync(draft, "wx", 0o600));
  try {
    const db = new Database(draft, { timeout: BUSY_TIMEOUT_MS });
    try {
      db.pragma("journal_mode = WAL");
      configure(db);
      migrate(db);
      assertDurable(db);
      // Here, where a failed flush is seen: closing would swallow it (D5).
      db.pragma("wal_checkpoint(TRUNCATE)");
    } finally {
      db.close();
    }
    flush(draft);
    try {
      publish(draft, file);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
  } finally {
    for (const end of ["", "-wal", "-shm"]) rmSync(draft + end, { force: true });
  }
}

/** Brings an older store, or an empty new one, to this version: wholly or not at all. */
export function migrate(db: Connection): void {
  const versionNow = () => Number(db.pragma("user_version", { simple: true }));
  if (versionNow() >= SCHEMA_VERSION) return;
  const run = db.transaction(() => {
    // Once more under the lock: another process may have been faster.
    const version = versionNow();
    if (version >= SCHEMA_VERSION) return;
    for (const sql of MIGRATIONS.slice(version)) db.exec(sql);
    if (version === 0) {
      const [storeId, epoch] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
      const sum = headSum(storeId, { epoch, revision: NO_REVISION, accessRevision: NO_REVISION });
      db.prepare("INSERT INTO store VALUES (1, ?, ?, 0, 0, 0, ?)").run(storeId, epoch, sum);
      db.pragma(`application_id = ${APPLICATION_ID}`);
    }
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
  });
  run.immediate();
}
