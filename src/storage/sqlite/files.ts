import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export interface StoreFiles {
  readonly file: string;
  readonly walFile: string;
  readonly bellFile: string;
}

/**
 * Nobody may open and close `file` but SQLite: closing any descriptor of it drops the locks that this process
 * holds on it (POSIX), and another process could then take the WAL away.
 */
export function storeFiles(dataDir: string): StoreFiles {
  const file = join(dataDir, "store.db");
  return { file, walFile: `${file}-wal`, bellFile: join(dataDir, "store.bell") };
}

/** Bytes of a file; undefined when there is none. */
export function sizeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.size;
}

/**
 * Says which of some files is no longer the one that it was when this was called; undefined when all are. A file
 * that was removed or replaced while it is open goes on taking writes that nobody will ever find.
 */
export function watchIdentity(files: readonly string[]): () => string | undefined {
  const identity = (file: string) => {
    const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
    return stat === undefined ? undefined : `${stat.dev} ${stat.ino}`;
  };
  const known = files.map((file) => ({ file, was: identity(file) }));
  return () => known.find(({ file, was }) => identity(file) !== was)?.file;
}

export function flushFile(file: string): void {
  const fd = openSync(file, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Gives a finished draft its name, durably. Throws EEXIST where there is such a file already. */
export function publish(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    // Some file systems have no links; there, a second one that does the same at the same moment would win.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(String(code)) || sizeOf(file) !== undefined) {
      throw error;
    }
    renameSync(draft, file);
  }
  flushDirectoryOf(file);
}

/** Whether a disk failed or was full, so that what was to be flushed may be lost: never to be taken for anything else (D5). */
export function isFailedDisk(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return ["EIO", "ENOSPC", "EDQUOT"].includes(String(code));
}

/**
 * Makes a folder where there is none, for its owner alone. Its name is then durable, and that of each folder above it:
 * a store is no more durable than those (D1). So are names that were there before, for whoever made them may have been
 * killed before they were flushed.
 */
export function makeFolder(folder: string): void {
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
  let ours = made !== undefined;
  for (let each = resolve(folder); each !== dirname(each); each = dirname(each)) {
    try {
      flushDirectoryOf(each);
    } catch (error) {
      // Made by somebody else, in a folder that this user may not read: then it is theirs to keep.
      if (ours || isFailedDisk(error)) throw error;
    }
    if (made !== undefined && each === resolve(made)) ours = false;
  }
}

/** Makes a file's name as durable as its content (D1). */
export function flushDirectoryOf(file: string): void {
  flushFile(dirname(file));
}
