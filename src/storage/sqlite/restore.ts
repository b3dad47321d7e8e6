import { randomBytes } from "node:crypto";
import { chmodSync, constants, copyFileSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { flush, makeFolder, publish } from "../../disk/durable.ts";
import { StorageOpenError } from "../open-error.ts";
import type { Head } from "../records.ts";
import { configure } from "./connection.ts";
import { sizeOf, storeFiles } from "./files.ts";
import { inspectFile, openError } from "./inspect.ts";
import { WriterTables } from "./writer-tables.ts";

export interface RestoredStore {
  readonly storeId: string;
  /** Of a new epoch: resume tokens and etags of the copied store stop to count (D6). */
  readonly head: Head;
}

/**
 * Puts a backup's database file into a data directory that has no store yet. The backup is only read; the
 * directory has the whole store or nothing.
 */
export function restoreStoreFile(backupFile: string, dataDir: string): RestoredStore {
  const { file } = storeFiles(dataDir);
  const size = sizeOf(backupFile);
  if (size === undefined) throw new StorageOpenError(backupFile, "there is no such file");
  if (sizeOf(file) !== undefined) {
    throw new StorageOpenError(file, "is there already: restore into an empty directory");
  }
  const draft = `${file}.restore-${randomBytes(6).toString("hex")}`;
  try {
    makeFolder(dataDir);
    copyFileSync(backupFile, draft, constants.COPYFILE_EXCL);
    chmodSync(draft, 0o600);
    const { storeId } = inspectFile(draft, size, 0);
    const epoch = startNewEpoch(draft);
    const { head } = inspectFile(draft, size, 0);
    flush(draft);
    publish(draft, file);
    return { storeId, head: { ...head, epoch } };
  } catch (error) {
    throw openError(backupFile, error);
  } finally {
    for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(draft + end, { force: true });
  }
}

/** Gives a database file that nobody serves a new epoch. */
function startNewEpoch(file: string): string {
  const epoch = randomBytes(16).toString("hex");
  const db = new Database(file, { fileMustExist: true });
  try {
    configure(db);
    const tables = new WriterTables(db);
    const renew = db.transaction(() => tables.saveHead({ ...tables.head(), epoch }));
    renew.immediate();
    return epoch;
  } finally {
    db.close();
  }
}
