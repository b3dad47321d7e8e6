import { join } from "node:path";
import { flush } from "../disk/durable.ts";
import { isDiskFull, isFailedDisk } from "../disk/failed-disk.ts";
import { CHAIN_START, Chain, type ChainHead } from "./chain.ts";
import { bodyOf, type OwnLine } from "./record-line.ts";
import type { Reserve } from "./reserve.ts";
import { type AuditFileSystem, SegmentFile } from "./segment-file.ts";
import { segmentFile } from "./segment-name.ts";

/** One write is at most about so long, so that a piece of the reserve has room for it. */
const WRITE_CHARACTERS = 256 * 1024;

export interface ChainWriterOptions {
  readonly directory: string;
  readonly chain: string;
  readonly key: Uint8Array;
  readonly segmentBytes: number;
  readonly reserve: Reserve;
  readonly fs: AuditFileSystem;
  readonly clock: () => number;
  /** A segment that is over, or the name of the next one, could not be made durable (D5). */
  readonly fatal: (cause: unknown) => void;
}

/**
 * Writes one chain into its segments. Synchronous: a call returns once the system has the bytes, or throws
 * and has changed nothing of the chain.
 */
export class ChainWriter {
  readonly #options: ChainWriterOptions;
  readonly #chain: Chain;
  #head: ChainHead = CHAIN_START;
  #segment: SegmentFile;
  #segmentNumber = 0;
  #begun = { time: 0, seq: 0 };
  #latest = 0;
  #inReserve = false;

  /** Makes the first segment; throws when it can't. */
  constructor(options: ChainWriterOptions) {
    this.#options = options;
    this.#chain = new Chain(options.key);
    this.#segment = this.#begin();
  }

  /** Of the last line that was written. */
  get head(): ChainHead {
    return this.#head;
  }

  get segment(): SegmentFile {
    return this.#segment;
  }

  /** True while it lives on the reserve. */
  get inReserve(): boolean {
    return this.#inReserve;
  }

  /** Since when the segment takes records, Unix milliseconds; undefined while it has none. */
  get begunAt(): number | undefined {
    return this.#head.seq > this.#begun.seq ? this.#begun.time : undefined;
  }

  /** `time`: the largest of the records' times, Unix milliseconds. */
  append(bodies: readonly string[], time: number): void {
    this.#latest = Math.max(this.#latest, time);
    if (this.#segment.length >= this.#options.segmentBytes) this.rotate();
    for (const part of parts(bodies)) this.#write(part);
  }

  /** Ends the chain in order. */
  end(): void {
    const line: OwnLine = { kind: "end" };
    this.#write([bodyOf(line, this.#now())]);
    this.#must(() => this.#segment.finish());
  }

  #write(bodies: readonly string[]): void {
    for (;;) {
      // Anew in each round: a move into the reserve adds a line of its own before these.
      const next = this.#chain.extend(this.#head, bodies);
      try {
        this.#segment.append(Buffer.from(next.text, "utf8"));
        this.#head = next.head;
        return;
      } catch (cause) {
        if (!isDiskFull(cause) || !this.#moveIntoReserve()) throw cause;
      }
    }
  }

  /** A segment that is too long does no harm: where no new one can be made, the old one goes on. */
  rotate(): void {
    const before = this.#segment;
    this.#must(() => before.flush());
    try {
      this.#segment = this.#begin();
    } catch {
      return;
    }
    this.#inReserve = false;
    this.#must(() => before.finish());
  }

  #moveIntoReserve(): boolean {
    const path = this.#nextPath();
    const before = this.#segment;
    // Before the piece has its name: a file with another behind it is taken for one that is over.
    this.#must(() => before.flush());
    if (!this.#options.reserve.takeAs(path)) return false;
    this.#segment = this.#open(SegmentFile.over(this.#options.fs, path, this.#options.reserve.pieceBytes));
    this.#inReserve = true;
    this.#must(() => before.finish());
    return true;
  }

  /**
   * A segment must be on disk before the next one has a line: a power cut that took its end and left the next one
   * would look like records that somebody dropped.
   */
  #must(flush: () => void): void {
    try {
      flush();
    } catch (cause) {
      this.#options.fatal(cause);
      throw cause;
    }
  }

  /** Where the process has no descriptor left, it is no flush that failed: the old file goes on. */
  #flushName(): void {
    const { directory, fs, fatal } = this.#options;
    try {
      flush(directory, fs);
    } catch (cause) {
      if (isFailedDisk(cause)) fatal(cause);
      throw cause;
    }
  }

  #begin(): SegmentFile {
    const path = this.#nextPath();
    try {
      return this.#open(SegmentFile.create(this.#options.fs, path));
    } catch (cause) {
      if (!isDiskFull(cause) || this.#segmentNumber > 0 || !this.#options.reserve.takeAs(path)) throw cause;
      this.#inReserve = true;
      return this.#open(SegmentFile.over(this.#options.fs, path, this.#options.reserve.pieceBytes));
    }
  }

  #open(segment: SegmentFile): SegmentFile {
    const line: OwnLine = {
      kind: "segment",
      format: "slots-audit-v1",
      chain: this.#options.chain,
      segment: this.#segmentNumber + 1,
      previous: this.#head.mac,
      latest: new Date(this.#latest).toISOString(),
    };
    const next = this.#chain.extend(this.#head, [bodyOf(line, this.#now())]);
    try {
      segment.append(Buffer.from(next.text, "utf8"));
      this.#flushName();
    } catch (cause) {
      segment.discard();
      throw cause;
    }
    this.#head = next.head;
    this.#segmentNumber += 1;
    this.#begun = { time: this.#options.clock(), seq: next.head.seq };
    return segment;
  }

  #nextPath(): string {
    const { directory, chain, clock } = this.#options;
    return join(directory, segmentFile(clock(), chain, this.#segmentNumber + 1));
  }

  #now(): string {
    const time = this.#options.clock();
    this.#latest = Math.max(this.#latest, time);
    return new Date(time).toISOString();
  }
}

function* parts(bodies: readonly string[]): Generator<readonly string[]> {
  let part: string[] = [];
  let size = 0;
  for (const body of bodies) {
    part.push(body);
    size += body.length;
    if (size < WRITE_CHARACTERS) continue;
    yield part;
    part = [];
    size = 0;
  }
  if (part.length > 0) yield part;
}
