import { type FileHandle, open } from "node:fs/promises";

const CHUNK_BYTES = 256 * 1024;
/** Far above what the log writes. Of a longer line no byte is kept, so that it can't fill the reader's memory. */
const MAX_LINE_BYTES = 4 << 20;
const NEWLINE = 0x0a;

/** A line of a segment, without its newline. */
export interface SegmentLine {
  readonly bytes: Buffer;
  /** From 1. */
  readonly number: number;
}

/**
 * Reads a segment line by line, and later goes on where it stopped. Content ends at the end of the file or at
 * a zero byte, behind which lies room that isn't written yet.
 */
export class SegmentCursor {
  readonly path: string;
  #offset = 0;
  #lines = 0;
  #tail = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Whole lines read so far. */
  get lines(): number {
    return this.#lines;
  }

  /** Bytes of the last line that had no newline when reading stopped. */
  get tail(): number {
    return this.#tail;
  }

  /** The lines that are there beyond the last one read, a chunk of the file at a time. */
  async *read(): AsyncGenerator<readonly SegmentLine[]> {
    const file = await open(this.path, "r");
    try {
      let carry: Buffer = Buffer.alloc(0);
      let dropped = 0;
      let at = this.#offset;
      for (;;) {
        const { bytes, ended } = await readChunk(file, at);
        at += bytes.length;
        const lines: SegmentLine[] = [];
        const before = this.#lines;
        carry = this.#split(carry.length === 0 ? bytes : Buffer.concat([carry, bytes]), lines, dropped);
        if (this.#lines > before) dropped = 0;
        if (carry.length > MAX_LINE_BYTES) {
          dropped += carry.length;
          carry = Buffer.alloc(0);
        }
        if (lines.length > 0) yield lines;
        if (ended) break;
      }
      this.#tail = dropped + carry.length;
    } finally {
      await file.close();
    }
  }

  /** Where a byte other than zero stands behind the content and its torn line; undefined where none does. */
  async strayByte(): Promise<number | undefined> {
    const file = await open(this.path, "r");
    try {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      for (let at = this.#offset + this.#tail; ; ) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
        if (bytesRead === 0) return undefined;
        const stray = chunk.subarray(0, bytesRead).findIndex((byte) => byte !== 0);
        if (stray >= 0) return at + stray;
        at += bytesRead;
      }
    } finally {
      await file.close();
    }
  }

  /** Takes whole lines off the front. `dropped`: bytes of the first one that are not kept; it comes out empty. */
  #split(bytes: Buffer, lines: SegmentLine[], dropped: number): Buffer {
    let lost = dropped;
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      this.#lines += 1;
      this.#offset += lost + end + 1 - from;
      lines.push({ bytes: lost > 0 ? Buffer.alloc(0) : bytes.subarray(from, end), number: this.#lines });
      lost = 0;
      from = end + 1;
    }
    return bytes.subarray(from);
  }
}

async function readChunk(file: FileHandle, at: number): Promise<{ bytes: Buffer; ended: boolean }> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
  const zero = chunk.subarray(0, bytesRead).indexOf(0);
  if (zero >= 0) return { bytes: chunk.subarray(0, zero), ended: true };
  return { bytes: chunk.subarray(0, bytesRead), ended: bytesRead === 0 };
}
