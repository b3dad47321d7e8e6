import { statSync } from "node:fs";
import { join } from "node:path";

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
