import { randomBytes } from "node:crypto";
import * as nodeFs from "node:fs";
import { rm } from "node:fs/promises";
import { flush, makeFolder } from "../disk/durable.ts";
import { SlotsError } from "../domain/errors.ts";
import { NO_REVISION, type Revision } from "../domain/numbers.ts";
import { AppendBatch } from "./append-batch.ts";
import type { AuditAnchor, AuditLog, AuditRecord, AuditState } from "./audit-log.ts";
import { chainKey } from "./chain.ts";
import { ChainWriter } from "./chain-writer.ts";
import { bodiesOf } from "./record-line.ts";
import { Reserve } from "./reserve.ts";
import { findExpired } from "./retention.ts";
import { type AuditFilter, type LoggedRecord, searchAudit } from "./search.ts";
import type { AuditFileSystem } from "./segment-file.ts";
import { listSegments } from "./segment-name.ts";

export interface FileAuditLogOptions {
  /** Made with mode 0700 when it isn't there. Several processes may log into one. */
  readonly directory: string;
  /** The store's key `audit`, 32 bytes. */
  readonly storeKey: Uint8Array;
  /** Keeps how far the chain had come, outside the log. Called at most once an interval, one call at a time. */
  readonly anchor: (anchor: AuditAnchor) => Promise<void>;
  /** The revision up to which every change that this process made has been appended and answered. */
  readonly covered?: () => Revision;
  /** `write` survives a kill of the process; `fsync` a power cut too. Default `write`. */
  readonly sync?: "write" | "fsync";
  /** A segment that long is followed by the next one. Default 64 MiB. */
  readonly segmentBytes?: number;
  /** Room kept for a full disk; 0 for none. Default 64 MiB. */
  readonly reserveBytes?: number;
  /** Default 1,000. */
  readonly anchorIntervalMs?: number;
  /** Told when the state changes, with what the system said. */
  readonly onState?: (state: AuditState, cause: unknown) => void;
  /** Told of an anchor that could not be kept; it is tried again after an interval. */
  readonly onAnchorError?: (cause: unknown) => void;
  /** A failed flush (D5). The process must end; the default throws where nobody catches. */
  readonly onFatal?: (cause: unknown) => void;
  readonly clock?: () => number;
  readonly fs?: AuditFileSystem;
}

const MEBIBYTE = 1 << 20;
const REFILL_INTERVAL_MS = 10_000;
const DAY_MS = 24 * 3_600_000;

/** The log as files of JSON lines, chained by a keyed mac. */
export class FileAuditLog implements AuditLog {
  readonly chain: string;
  readonly #options: Required<FileAuditLogOptions>;
  readonly #writer: ChainWriter;
  readonly #reserve: Reserve;
  #batch: AppendBatch | undefined;
  #state: AuditState = "ok";
  #dead: unknown;
  #anchoredSeq = 0;
  #anchoring: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #refilledAt = 0;
  #time = { millisecond: -1, text: "" };

  private constructor(options: Required<FileAuditLogOptions>, chain: string, reserve: Reserve) {
    this.chain = chain;
    this.#options = options;
    this.#reserve = reserve;
    const { directory, storeKey, segmentBytes, fs, clock } = options;
    const key = chainKey(storeKey, chain);
    const fatal = (cause: unknown) => this.#die(cause);
    this.#writer = new ChainWriter({ directory, chain, key, segmentBytes, reserve, fs, clock, fatal });
    if (this.#writer.inReserve) this.#state = "reserve";
  }

  /**
   * Begins a new chain: ready and anchored when it resolves; the reserve is made in the background. Throws
   * AUDIT_UNAVAILABLE.
   */
  static async open(options: FileAuditLogOptions): Promise<FileAuditLog> {
    const all: Required<FileAuditLogOptions> = {
      covered: () => NO_REVISION,
      sync: "write",
      segmentBytes: 64 * MEBIBYTE,
      reserveBytes: 64 * MEBIBYTE,
      anchorIntervalMs: 1000,
      onState: () => undefined,
      onAnchorError: () => undefined,
      onFatal: throwUncaught,
      clock: Date.now,
      fs: nodeFs,
      ...options,
    };
    try {
      // Whoever began the log there made its folder's name durable before the first file.
      if (!nodeFs.existsSync(all.directory) || (await listSegments(all.directory)).size === 0)
        makeFolder(all.directory);
      const reserve = new Reserve(all.directory, all.reserveBytes, all.fs);
      const log = new FileAuditLog(all, randomBytes(16).toString("hex"), reserve);
      await log.#anchor(false);
      log.#refill();
      return log;
    } catch (cause) {
      throw unavailable(`the audit log in ${all.directory} can't be begun`, cause);
    }
  }

  get state(): AuditState {
    return this.#state;
  }

  append(record: AuditRecord): Promise<void> {
    if (this.#state === "closed") return Promise.reject(unavailable("the audit log is closed", undefined));
    let batch = this.#batch;
    if (batch === undefined) {
      batch = new AppendBatch();
      this.#batch = batch;
      // After what this turn has to read, before anything is waited for: calls that came together share a write.
      if (this.#flushing === undefined) setImmediate(() => this.flush());
    }
    batch.bodies.push(...bodiesOf(record, this.#now()));
    batch.latest = Math.max(batch.latest, this.#time.millisecond);
    return batch.promise;
  }

  /**
   * Removes whole files all of whose records are older than `before`, Unix milliseconds; returns how many. That they
   * go is in the log, and anchored, before they do (S4). Throws when it can't be; then all are still there.
   */
  async prune(before: number, anchors: readonly AuditAnchor[]): Promise<number> {
    const { directory, storeKey, anchor, clock } = this.#options;
    // A log that grows slowly would keep its first record for years in its one file.
    if ((this.#writer.begunAt ?? Infinity) < clock() - DAY_MS && this.#state === "ok") this.#writer.rotate();
    const { expired, carried } = await findExpired({ directory, storeKey, anchors, before });
    if (expired.length === 0) return 0;
    const records = [
      ...expired.map(({ chain, segment, all }) => ({ chain, segment, all: all || undefined })),
      ...[...carried].map(([chain, { segment }]) => ({ chain, segment })),
    ];
    await Promise.all(records.map((record) => this.append({ kind: "pruned", ...record })));
    await this.#anchorNow();
    for (const { chain, all } of expired) {
      const known = all ? anchors.find((each) => each.chain === chain) : undefined;
      if (known !== undefined) await anchor({ ...known, records: 0n, time: clock() });
    }
    // From the oldest on: wherever it is cut, what is left begins with a file that the record allows to be first.
    const files = expired.flatMap((each) => each.files);
    for (const { path } of files) await rm(path, { force: true });
    flush(directory);
    return files.length;
  }

  search(filter: AuditFilter): AsyncIterable<LoggedRecord> {
    return searchAudit(this.#options.directory, filter);
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    do {
      this.flush();
      await this.#flushing;
    } while (this.#batch !== undefined || this.#flushing !== undefined);
    this.#setState("closed", undefined);
    clearTimeout(this.#timer);
    await this.#reserve.stop();
    await this.#anchoring;
    if (this.#dead !== undefined) return;
    try {
      this.#writer.end();
      await this.#anchor(true);
    } catch (cause) {
      throw unavailable("the audit log can't be closed in order", cause);
    }
  }

  flush(): void {
    if (this.#flushing !== undefined) return;
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    try {
      if (this.#dead !== undefined) throw this.#dead;
      this.#writer.append(batch.bodies, batch.latest);
    } catch (cause) {
      this.#setState("unavailable", cause);
      batch.reject(unavailable("the audit log can't be written", cause));
      return;
    }
    this.#setState(this.#writer.inReserve ? "reserve" : "ok", undefined);
    this.#anchorSoon();
    if (this.#options.sync === "write") batch.resolve();
    else this.#flushing = this.#flushToDisk(batch);
  }

  /** What comes meanwhile waits and shares the next flush. */
  async #flushToDisk(batch: AppendBatch): Promise<void> {
    try {
      await this.#writer.segment.sync();
      batch.resolve();
    } catch (cause) {
      this.#die(cause);
      batch.reject(unavailable("the audit log can't be flushed", cause));
    } finally {
      this.#flushing = undefined;
      this.flush();
    }
  }

  /** Disk contents are in doubt: nothing more is written, and the owner of the process ends it (D5). */
  #die(cause: unknown): void {
    this.#dead = cause;
    this.#setState("unavailable", cause);
    this.#options.onFatal(cause);
  }

  #anchorSoon(): void {
    if (this.#timer !== undefined || this.#anchoring !== undefined || this.#dead !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#anchoring = this.#anchor(false)
        .catch(this.#options.onAnchorError)
        .finally(() => {
          this.#anchoring = undefined;
          if (this.#state !== "closed" && this.#anchoredSeq < this.#writer.head.seq) this.#anchorSoon();
        });
      this.#refill();
    }, this.#options.anchorIntervalMs);
    this.#timer.unref();
  }

  async #anchorNow(): Promise<void> {
    await this.#anchoring;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const done = this.#anchor(false);
    const settled = () => {
      this.#anchoring = undefined;
    };
    this.#anchoring = done.then(settled, settled);
    await done;
  }

  /** An anchor never tells of a line that a power cut could still take: what was cut then would look like a crime. */
  async #anchor(closed: boolean): Promise<void> {
    const revision = this.#options.covered();
    const { seq, mac } = this.#writer.head;
    try {
      await this.#writer.segment.sync();
    } catch (cause) {
      this.#die(cause);
      throw cause;
    }
    await this.#options.anchor({
      chain: this.chain,
      records: BigInt(seq),
      head: Buffer.from(mac, "base64url"),
      revision,
      time: this.#options.clock(),
      closed,
    });
    this.#anchoredSeq = seq;
  }

  #refill(): void {
    const now = this.#options.clock();
    if (this.#state === "closed" || Math.abs(now - this.#refilledAt) < REFILL_INTERVAL_MS) return;
    this.#refilledAt = now;
    void this.#reserve.fill().then((whole) => {
      if (!whole || !this.#writer.inReserve || this.#state === "closed") return;
      this.#writer.rotate();
      this.#setState(this.#writer.inReserve ? "reserve" : "ok", undefined);
    });
  }

  #setState(state: AuditState, cause: unknown): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onState(state, cause);
  }

  #now(): string {
    const millisecond = this.#options.clock();
    if (millisecond !== this.#time.millisecond) {
      this.#time = { millisecond, text: new Date(millisecond).toISOString() };
    }
    return this.#time.text;
  }
}

function unavailable(message: string, cause: unknown): SlotsError {
  return new SlotsError("AUDIT_UNAVAILABLE", message, { cause, retryAfterMs: 1000 });
}

function throwUncaught(cause: unknown): void {
  setImmediate(() => {
    throw cause;
  });
}
