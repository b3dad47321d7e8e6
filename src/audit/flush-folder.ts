import * as nodeFs from "node:fs";
import { dirname, resolve } from "node:path";
import { isFailedDisk } from "./segment-file.ts";

type Flushing = Pick<typeof nodeFs, "openSync" | "fsyncSync" | "closeSync">;

/** Makes the names in a folder as durable as the files. */
export function flushFolder(folder: string, fs: Flushing = nodeFs): void {
  const fd = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Makes the name of the log's folder durable, and of each folder above it: a power cut must not take the whole log with
 * them (S4). `made`: the uppermost one that was made; undefined when all were there. Those that were there are flushed
 * as well, for whoever made them may have been killed before.
 */
export function flushNameOf(folder: string, made: string | undefined): void {
  let ours = made !== undefined;
  for (let each = resolve(folder); each !== dirname(each); each = dirname(each)) {
    try {
      flushFolder(dirname(each));
    } catch (cause) {
      // A folder that was there before may lie in one that this user may not read; then it is somebody else's to keep.
      if (ours || isFailedDisk(cause)) throw cause;
    }
    if (made !== undefined && each === resolve(made)) ours = false;
  }
}
