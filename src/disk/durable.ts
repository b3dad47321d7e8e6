import * as nodeFs from "node:fs";
import { existsSync, linkSync, mkdirSync, renameSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { codeOf, isFailedDisk } from "./failed-disk.ts";

/** What flushing takes, so that tests can make it fail. */
export type Flushing = Pick<typeof nodeFs, "openSync" | "fsyncSync" | "closeSync">;

/** Puts what was written to a file on the disk. Of a folder, the names in it: they are no more durable than that (D1). */
export function flush(path: string, fs: Flushing = nodeFs): void {
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Makes a file's name as durable as its content. */
export function flushNameOf(file: string): void {
  flush(dirname(file));
}

/** Gives a finished draft its name, durably. Throws EEXIST where there is such a file already. */
export function publish(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (cause) {
    // Some file systems have no links; there, a second one that does the same at the same moment would win.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(cause)) || existsSync(file))
      throw cause;
    renameSync(draft, file);
  }
  flushNameOf(file);
}

/**
 * Makes a folder where there is none, for its owner alone. Its name is then durable, and that of each folder above it:
 * what is in it is no more durable than those (D1, S4). So are names that were there before, for whoever made them may
 * have been killed before they were flushed.
 */
export function makeFolder(folder: string): void {
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
  let ours = made !== undefined;
  for (let each = resolve(folder); each !== dirname(each); each = dirname(each)) {
    try {
      flushNameOf(each);
    } catch (cause) {
      // Made by somebody else, in a folder that this user may not read: then it is theirs to keep.
      if (ours || isFailedDisk(cause)) throw cause;
    }
    if (made !== undefined && each === resolve(made)) ours = false;
  }
}
