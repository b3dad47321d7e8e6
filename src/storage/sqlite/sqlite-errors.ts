import { SlotsError } from "../../domain/errors.ts";

/** SQLite's extended result code of an error, such as `SQLITE_IOERR_FSYNC`; undefined for any other error. */
export function sqliteCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" && error.code.startsWith("SQLITE_") ? error.code : undefined;
}

/** A failed flush: what is on disk is not known any more, so nobody may be answered (D5). */
export function isFailedFlush(error: unknown): boolean {
  return /^SQLITE_IOERR_(?:DIR_)?FSYNC$/.test(sqliteCode(error) ?? "");
}

/** Whether the whole transaction is in doubt, not just the statement that failed. */
export function failsGroup(error: unknown): boolean {
  return /^SQLITE_(?:FULL|IOERR|BUSY|READONLY|CANTOPEN|NOMEM|PROTOCOL|LOCKED)/.test(sqliteCode(error) ?? "");
}

/** What a caller is told of an error of the engine. */
export function toSlotsError(error: unknown): SlotsError {
  if (error instanceof SlotsError) return error;
  const code = sqliteCode(error) ?? "";
  const cause = { cause: error };
  if (/^SQLITE_(?:BUSY|LOCKED|PROTOCOL)/.test(code)) {
    return new SlotsError("STORE_BUSY", "another process is using the store", {
      ...cause,
      retryAfterMs: 1000,
    });
  }
  // The WAL's index can't grow: the same lack of room under another name.
  if (/^SQLITE_(?:FULL|IOERR_SHMSIZE)/.test(code)) {
    return new SlotsError("DISK_FULL", "no room is left for the store", { ...cause, retryAfterMs: 5000 });
  }
  if (/^SQLITE_(?:CORRUPT|NOTADB)/.test(code)) {
    return new SlotsError("RECORD_DAMAGED", "the store is damaged at this place", cause);
  }
  return new SlotsError("INTERNAL", `the store failed${code === "" ? "" : ` (${code})`}`, cause);
}

export function damaged(what: string, cause?: unknown): SlotsError {
  return new SlotsError("RECORD_DAMAGED", `${what} is damaged`, { cause });
}
