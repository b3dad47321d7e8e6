import Database from "better-sqlite3";

export type Connection = Database.Database;
export type Statement = Database.Statement;

/** How long a connection waits for another process before it gives up, milliseconds, unless told otherwise. */
export const BUSY_TIMEOUT_MS = 5000;

/** A connection to an existing store. */
export function connect(file: string, busyTimeoutMs: number): Connection {
  const db = new Database(file, { fileMustExist: true, timeout: busyTimeoutMs });
  try {
    configure(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

export function configure(db: Connection): void {
  db.defaultSafeIntegers(true);
  db.pragma("synchronous = FULL");
  db.pragma("foreign_keys = ON");
  db.pragma("secure_delete = ON");
  db.pragma("temp_store = MEMORY");
  db.pragma("trusted_schema = OFF");
  // Checkpoints run where their errors are seen: SQLite's own swallow a failed flush (D5).
  db.pragma("wal_autocheckpoint = 0");
  db.pragma("journal_size_limit = 67108864");
}

/** Must hold after a connection's first write: switching to WAL can lower it behind our back (D1). */
export function assertDurable(db: Connection): void {
  const mode = db.pragma("journal_mode", { simple: true });
  const level = Number(db.pragma("synchronous", { simple: true }));
  if (mode !== "wal" || level !== 2) {
    throw new Error(`the store would not be durable: journal_mode=${String(mode)}, synchronous=${level}`);
  }
}
