import { accessSync, constants } from "node:fs";
import Database from "better-sqlite3";
import type { MasterKeyRecord } from "../../domain/sealed-record.ts";
import { StorageOpenError } from "../open-error.ts";
import type { Head } from "../records.ts";
import { BUSY_TIMEOUT_MS, type Connection } from "./connection.ts";
import { sizeOf, storeFiles } from "./files.ts";
import { Reader } from "./reader.ts";
import { APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION } from "./schema.ts";
import { sqliteCode } from "./sqlite-errors.ts";

/** Stores up to this size are checked whole before they are served; reading more would delay the start. */
const CHECKED_BYTES = 32 * 1024 * 1024;

export interface StoreInspection {
  readonly file: string;
  readonly storeId: string;
  readonly schemaVersion: number;
  readonly head: Head;
  readonly masterKeys: readonly MasterKeyRecord[];
}

/**
 * Looks at a store before anything is served from it. Database and WAL stay byte for byte as they are.
 * Undefined when there is no store; a StorageOpenError when there is one that can't be used.
 */
export function inspectStore(dataDir: string): StoreInspection | undefined {
  const { file, walFile } = storeFiles(dataDir);
  const size = sizeOf(file);
  const walSize = sizeOf(walFile) ?? 0;
  if (size === undefined) {
    if (walSize === 0) return undefined;
    throw new StorageOpenError(file, `is missing, but ${walFile} is there: put the database file back`);
  }
  return inspectFile(file, size, walSize);
}

/** The same for one database file, wherever it is. */
export function inspectFile(file: string, size: number, walSize: number): StoreInspection {
  if (size === 0) throw broken(file, "is empty");
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    // SQLite empties a WAL that it may write to when it closes. With nothing in the WAL there is nothing to keep,
    // and a connection that may write tidies its own files away.
    const db = new Database(file, {
      fileMustExist: true,
      timeout: BUSY_TIMEOUT_MS,
      readonly: walSize > 0,
    });
    try {
      return look(db, file, size, walSize);
    } finally {
      db.close();
    }
  } catch (error) {
    throw openError(file, error);
  }
}

function look(db: Connection, file: string, size: number, walSize: number): StoreInspection {
  db.defaultSafeIntegers(true);
  db.pragma("query_only = ON");
  const pragma = (name: string) => Number(db.pragma(name, { simple: true }));
  const schemaVersion = pragma("user_version");
  if (pragma("application_id") !== APPLICATION_ID) throw new StorageOpenError(file, "is not a store of ours");
  if (schemaVersion > SCHEMA_VERSION) {
    const problem = `has schema version ${schemaVersion}, and this program knows up to ${SCHEMA_VERSION}`;
    throw new StorageOpenError(file, `${problem}: use the newer version of the program that wrote it`);
  }
  if (walSize === 0 && size < pragma("page_count") * pragma("page_size")) throw broken(file, "is cut short");
  if (size <= CHECKED_BYTES) {
    const result = db.pragma("integrity_check(1)", { simple: true });
    if (result !== "ok") throw broken(file, "is damaged");
  }
  if (!hasSchema(db, schemaVersion)) throw broken(file, "is damaged");
  const reader = new Reader(db);
  const inspection = {
    file,
    storeId: reader.storeId(),
    schemaVersion,
    head: reader.head(),
    masterKeys: reader.masterKeys(),
  };
  if (!reader.standsWhole()) throw broken(file, "is damaged");
  return inspection;
}

/**
 * Whether the tables and indexes of that version are there as they were made. They stand in the file as text, and a bit
 * flipped in the name of a column leaves a database that SQLite finds no fault with (D3). Others' tables may be there too.
 */
function hasSchema(db: Connection, version: number): boolean {
  const model = new Database(":memory:");
  try {
    for (const sql of MIGRATIONS.slice(0, version)) model.exec(sql);
    const found = new Set(statementsOf(db));
    return statementsOf(model).every((statement) => found.has(statement));
  } finally {
    model.close();
  }
}

function statementsOf(db: Connection): string[] {
  return db
    .prepare("SELECT type || name || tbl_name || sql FROM sqlite_schema WHERE sql IS NOT NULL")
    .pluck()
    .all() as string[];
}

function broken(file: string, how: string): StorageOpenError {
  return new StorageOpenError(file, `${how}: restore it from a backup; it was left as it is`);
}

/** Says what to do about whatever kept a file from being opened. */
export function openError(file: string, error: unknown): StorageOpenError {
  if (error instanceof StorageOpenError) return error;
  const cause = error instanceof Error && error.name === "SlotsError" ? error.cause : error;
  const systemCode = error instanceof Error && "code" in error ? String(error.code) : "";
  const code = sqliteCode(cause) ?? systemCode;
  const with_ = { cause: error };
  if (/^(?:SQLITE_CORRUPT|SQLITE_IOERR_SHORT_READ)/.test(code)) {
    return new StorageOpenError(file, "is damaged: restore it from a backup; it was left as it is", with_);
  }
  if (code.startsWith("SQLITE_NOTADB")) {
    return new StorageOpenError(
      file,
      "is not a database, or its beginning is damaged: it was left as it is",
      with_,
    );
  }
  if (/^(?:SQLITE_BUSY|SQLITE_LOCKED|SQLITE_PROTOCOL)/.test(code)) {
    const problem = "is locked by another program that does not share it: stop that one first";
    return new StorageOpenError(file, problem, with_);
  }
  if (/^(?:EACCES|EPERM|EROFS|SQLITE_CANTOPEN|SQLITE_READONLY|SQLITE_PERM|SQLITE_AUTH)/.test(code)) {
    const problem = `can't be opened (${code}): this user must be able to read and write it and its directory`;
    return new StorageOpenError(file, problem, with_);
  }
  if (/^(?:ENOSPC|EDQUOT|SQLITE_FULL)/.test(code)) {
    return new StorageOpenError(file, "can't be opened: no room is left on its disk", with_);
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  return new StorageOpenError(file, `can't be opened: ${message}`, with_);
}
