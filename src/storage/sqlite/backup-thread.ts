import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import type { BackupThreadMessage } from "./backup.ts";
import { BUSY_TIMEOUT_MS, connect } from "./connection.ts";
import { Reader } from "./reader.ts";

const { file, copy } = workerData as { readonly file: string; readonly copy: string };

function run(): BackupThreadMessage {
  try {
    const db = connect(file, BUSY_TIMEOUT_MS);
    try {
      db.prepare("VACUUM INTO ?").run(copy);
    } finally {
      db.close();
    }
    const copied = new Database(copy, { readonly: true, fileMustExist: true });
    try {
      copied.defaultSafeIntegers(true);
      return { ok: true, head: new Reader(copied).head() };
    } finally {
      copied.close();
    }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : "unknown" };
  }
}

parentPort?.postMessage(run());
