import { randomBytes } from "node:crypto";
import { open, readdir, rename, stat, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { AuditFileSystem } from "./segment-file.ts";

const PIECES = 16;
const LEAST_PIECE_BYTES = 1 << 20;
const CHUNK_BYTES = 1 << 20;
const PIECE = /^reserve-\d\d$/;
const UNFINISHED = /^reserve-\d\d-[0-9a-f]{16}\.new$/;
const UNFINISHED_AGE_MS = 600_000;

/**
 * Room kept for the days when the disk is full (D4). It lies beside the log as pieces of zero bytes. Full
 * means that the next segment is not made but a piece is renamed into its place and written over: room that
 * is given back to the disk first could be taken by anybody, and the log would be first to lose it.
 *
 * The pieces belong to all processes that log into the folder; a rename decides who gets one. A file system
 * that compresses zeros or never writes in place keeps no room this way.
 */
export class Reserve {
  readonly #directory: string;
  readonly #fs: AuditFileSystem;
  readonly pieceBytes: number;
  readonly #names: readonly string[];
  #filling: Promise<boolean> | undefined;
  #stopped = false;

  constructor(directory: string, bytes: number, fs: AuditFileSystem) {
    this.#directory = directory;
    this.#fs = fs;
    this.pieceBytes = Math.max(LEAST_PIECE_BYTES, Math.ceil(bytes / PIECES));
    const count = Math.ceil(bytes / this.pieceBytes);
    this.#names = Array.from({ length: count }, (_, index) => `reserve-${String(index).padStart(2, "0")}`);
  }

  /** Gives a piece that path; false when there is none left. */
  takeAs(path: string): boolean {
    for (const name of this.#names) {
      try {
        this.#fs.renameSync(join(this.#directory, name), path);
        return true;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
      }
    }
    return false;
  }

  /**
   * Makes the pieces that are missing, one after the other, as long as the disk then still has as much room
   * again: the reserve must not be what fills it. Never rejects; true when the reserve is whole.
   */
  fill(): Promise<boolean> {
    this.#filling ??= this.#fill()
      .catch(() => false)
      .finally(() => {
        this.#filling = undefined;
      });
    return this.#filling;
  }

  /** Nothing is made any more once it resolves. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#filling;
  }

  async #fill(): Promise<boolean> {
    await this.#tidy();
    for (const name of this.#names) {
      const path = join(this.#directory, name);
      if ((await sizeOf(path)) === this.pieceBytes) continue;
      const { bavail, bsize } = await statfs(this.#directory);
      if (bavail * bsize < this.pieceBytes * this.#names.length + this.pieceBytes) return false;
      await this.#make(path);
    }
    return true;
  }

  async #make(path: string): Promise<void> {
    // Under a name of its own until it is whole: once it is renamed nobody writes zeros into it any more.
    const unfinished = `${path}-${randomBytes(8).toString("hex")}.new`;
    try {
      const file = await open(unfinished, "wx", 0o600);
      try {
        const zeros = new Uint8Array(CHUNK_BYTES);
        for (let left = this.pieceBytes; left > 0; left -= CHUNK_BYTES) {
          if (this.#stopped) throw new Error("stopped");
          await file.writeFile(zeros.subarray(0, Math.min(left, CHUNK_BYTES)));
        }
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(unfinished, path);
    } catch (cause) {
      await unlink(unfinished).catch(() => undefined);
      throw cause;
    }
  }

  /** Removes what killed processes left half made, and pieces of a larger reserve of before. */
  async #tidy(): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      const stale = UNFINISHED.test(name) && Date.now() - (await stat(path)).mtimeMs > UNFINISHED_AGE_MS;
      if (stale || (PIECE.test(name) && !this.#names.includes(name)))
        await unlink(path).catch(() => undefined);
    }
  }
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    (found) => found.size,
    () => 0,
  );
}
