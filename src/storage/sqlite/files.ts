import { closeSync, fsyncSync, linkSync, openSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

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

/** Makes a file's name as durable as its content (D1). */
export function flushDirectoryOf(file: string): void {
  flushFile(dirname(file));
}
