import { closeSync, openSync, rmSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { flush, flushNameOf } from "../../disk/durable.ts";
import { SlotsError } from "../../domain/errors.ts";
import type { Head } from "../records.ts";
import { sizeOf } from "./files.ts";

const PROGRESS_MS = 200;

export type BackupThreadMessage =
  | { readonly ok: true; readonly head: Head }
  | { readonly ok: false; readonly message: string };

/**
 * Copies the store as of one moment while reads and writes go on: `VACUUM INTO` on a thread of its own reads one
 * snapshot, so no writer can make it start over, and takes nothing along that was deleted.
 */
export async function backUp(
  file: string,
  copy: string,
  progress: (done: number, total: number) => void = () => {},
): Promise<Head> {
  // Made here so that it is ours alone from the first byte; SQLite takes an empty file for a new one.
  closeSync(openSync(copy, "wx", 0o600));
  const total = sizeOf(file) ?? 0;
  const timer = setInterval(() => progress(Math.min(sizeOf(copy) ?? 0, total), total), PROGRESS_MS);
  try {
    const head = await runThread(file, copy);
    flush(copy);
    flushNameOf(copy);
    progress(total, total);
    return head;
  } catch (error) {
    for (const end of ["", "-journal"]) rmSync(copy + end, { force: true });
    throw error;
  } finally {
    clearInterval(timer);
  }
}

async function runThread(file: string, copy: string): Promise<Head> {
  const script = import.meta.url.endsWith(".ts") ? "./backup-thread.ts" : "./backup-thread.js";
  const worker = new Worker(new URL(script, import.meta.url), {
    workerData: { file, copy },
    name: "store-backup",
  });
  const message = await new Promise<BackupThreadMessage>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the backup thread ended early")));
  });
  if (message.ok) return message.head;
  throw new SlotsError("INTERNAL", `the backup failed: ${message.message}`);
}
