import type * as nodeFs from "node:fs";
import { isDiskFull } from "../disk/failed-disk.ts";

/** The calls to the file system that the log's writer makes; a test puts failing ones in their place. */
export type AuditFileSystem = Pick<
  typeof nodeFs,
  | "openSync"
  | "writeSync"
  | "ftruncateSync"
  | "fdatasyncSync"
  | "fsyncSync"
  | "closeSync"
  | "renameSync"
  | "unlinkSync"
  | "fdatasync"
>;

/**
 * A segment that is being written. It may have room of its own behind its content: a piece of the reserve,
 * all zeros, written over in place. A reader takes the first zero byte for the end.
 *
 * A failed write may have left a part of its lines. They are cut off (or blanked) before anything is written
 * again, so that the chain has no torn line in its middle.
 */
export class SegmentFile {
  readonly #fs: AuditFileSystem;
  readonly #fd: number;
  readonly path: string;
  #length = 0;
  /** Where the room that the file already has ends. */
  #allocated: number;
  /** Where the remains of a failed write may end. */
  #tornEnd = 0;
  #syncing = 0;
  #closed = false;

  private constructor(fs: AuditFileSystem, path: string, fd: number, allocated: number) {
    this.#fs = fs;
    this.path = path;
    this.#fd = fd;
    this.#allocated = allocated;
  }

  static create(fs: AuditFileSystem, path: string): SegmentFile {
    return new SegmentFile(fs, path, fs.openSync(path, "wx", 0o600), 0);
  }

  /** Writes over a file of that many zero bytes. */
  static over(fs: AuditFileSystem, path: string, allocated: number): SegmentFile {
    return new SegmentFile(fs, path, fs.openSync(path, "r+"), allocated);
  }

  get length(): number {
    return this.#length;
  }

  /** Writes all of the bytes or, as far as a reader and the next append can tell, none. Throws what the system said. */
  append(bytes: Uint8Array): void {
    this.#mend();
    try {
      this.#writeAll(bytes);
    } catch (cause) {
      if (!isDiskFull(cause) || this.#allocated <= this.#length + bytes.length) throw cause;
      // The room was ours and still the disk is full: a file system that never writes in place. Give the room
      // back and take from it what is needed.
      this.#release();
      this.#writeAll(bytes);
    }
    this.#length += bytes.length;
  }

  #writeAll(bytes: Uint8Array): void {
    let done = 0;
    try {
      while (done < bytes.length) {
        done += this.#fs.writeSync(this.#fd, bytes, done, bytes.length - done, this.#length + done);
      }
    } catch (cause) {
      this.#tornEnd = this.#length + bytes.length;
      try {
        this.#mend();
      } catch {
        // The next append tries again, and fails if it can't either.
      }
      throw cause;
    }
  }

  #mend(): void {
    if (this.#tornEnd <= this.#length) return;
    if (this.#allocated > this.#length) {
      const blank = new Uint8Array(Math.min(this.#tornEnd, this.#allocated) - this.#length);
      this.#fs.writeSync(this.#fd, blank, 0, blank.length, this.#length);
      this.#fs.ftruncateSync(this.#fd, this.#allocated);
    } else {
      this.#fs.ftruncateSync(this.#fd, this.#length);
    }
    this.#tornEnd = 0;
  }

  #release(): void {
    this.#fs.ftruncateSync(this.#fd, this.#length);
    this.#allocated = 0;
    this.#tornEnd = 0;
  }

  /** On disk when it resolves, whatever was appended before the call. */
  sync(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#syncing += 1;
    return new Promise((resolve, reject) => {
      this.#fs.fdatasync(this.#fd, (cause) => {
        this.#syncing -= 1;
        if (this.#closed && this.#syncing === 0) this.#fs.closeSync(this.#fd);
        if (cause) reject(cause);
        else resolve();
      });
    });
  }

  /** On disk when it returns, whatever was appended. */
  flush(): void {
    this.#fs.fdatasyncSync(this.#fd);
  }

  /** Cuts off what isn't content, makes the rest durable and lets go of the file. */
  finish(): void {
    if (this.#closed) return;
    if (this.#allocated > this.#length || this.#tornEnd > this.#length) this.#release();
    this.flush();
    this.#letGo();
  }

  /** Lets go of a file that never became part of the chain, and removes it. */
  discard(): void {
    this.#letGo();
    this.#fs.unlinkSync(this.path);
  }

  #letGo(): void {
    this.#closed = true;
    // A number that a sync still works on must not be given to another file.
    if (this.#syncing === 0) this.#fs.closeSync(this.#fd);
  }
}
