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
 * Makes the name of the log's folder durable, and of each folder that was made above it: a power cut must not take
 * the whole log with them (S4). `made`: the uppermost one that was made; undefined when all were there.
 */
export function flushNameOf(folder: string, made: string | undefined): void {
  const last = dirname(resolve(made ?? folder));
  for (let above = dirname(resolve(folder)); ; above = dirname(above)) {
    try {
      flushFolder(above);
    } catch (cause) {
      // A folder that was there before may lie in one that this user may not read; then it is somebody else's to keep.
      if (made !== undefined || isFailedDisk(cause)) throw cause;
    }
    if (above === last) return;
  }
}
