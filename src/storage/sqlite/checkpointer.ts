import type { Connection } from "./connection.ts";
import { isFailedFlush, sqliteCode } from "./sqlite-errors.ts";
import type { StoreEvent } from "./store-event.ts";

/** Frames (4 KiB each) not yet in the database above which a checkpoint runs between groups. */
const PASSIVE_FRAMES = 1000n;
/** Frames in the WAL above which it is emptied, so that it does not grow without bound. */
const TRUNCATE_FRAMES = 16_384n;
const IDLE_MS = 1000;
/** What is destroyed within this time is erased together. */
const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 5000;
/** At least this long between two tries to empty a large WAL that a reader holds. */
const TRUNCATE_PAUSE_MS = 1000;
/** How long a truncating checkpoint may keep writers waiting for a reader, milliseconds. */
const TRUNCATE_WAIT_MS = 25;

interface Progress {
  readonly busy: bigint;
  readonly log: bigint;
  readonly checkpointed: bigint;
}

export interface CheckpointerOptions {
  readonly busyTimeoutMs: number;
  readonly onEvent: (event: StoreEvent) => void;
  /** A flush failed: the process must end (D5). */
  readonly onFatal: (error: unknown) => void;
}

/** Moves the WAL into the database, on the writer's connection, between its groups. Readers never wait for it. */
export class Checkpointer {
  readonly #db: Connection;
  readonly #options: CheckpointerOptions;
  #idle: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** Tries of the erasure that waits so far. */
  #attempts = 0;
  #truncatedAt = Number.NEGATIVE_INFINITY;
  #lastFailure: string | undefined;

  constructor(db: Connection, options: CheckpointerOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** After a group was answered. */
  afterGroup(erased: boolean): void {
    if (erased) this.erase();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#attempt(() => this.#run("PASSIVE")), IDLE_MS);
    this.#attempt(() => {
      const { log, checkpointed } = this.#run("NOOP");
      if (log - checkpointed < PASSIVE_FRAMES) return;
      this.#run("PASSIVE");
      const now = performance.now();
      if (log < TRUNCATE_FRAMES || now - this.#truncatedAt < TRUNCATE_PAUSE_MS) return;
      this.#truncatedAt = now;
      this.#truncate();
    });
  }

  /** Empties the WAL of values that were destroyed, again and again until no reader is in the way. */
  erase(): void {
    // One that waits already erases this, too.
    this.#retry ??= setTimeout(() => this.#tryErase(), FIRST_RETRY_MS);
  }

  /** At the start: only if the WAL holds something. */
  eraseLeftovers(): void {
    const progress = this.#attempt(() => this.#run("NOOP"));
    if (progress !== undefined && progress.log > 0n) this.erase();
  }

  close(): void {
    clearTimeout(this.#idle);
    clearTimeout(this.#retry);
    // Here, where a failed flush is seen: the last connection to close would swallow it (D5).
    this.#attempt(() => (this.#retry !== undefined ? this.#truncate() : this.#run("PASSIVE")));
  }

  #tryErase(): void {
    const done = this.#attempt(() => this.#truncate()) ?? false;
    this.#attempts += 1;
    const attempts = this.#attempts;
    if (done) {
      this.#attempts = 0;
      this.#retry = undefined;
      this.#options.onEvent({ kind: "wal-truncated", attempts });
      return;
    }
    const nextTryMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, 16), LAST_RETRY_MS);
    // A reader may stay for as long as it runs, as a replicator does: told ever more rarely.
    if (Math.log2(attempts) % 1 === 0)
      this.#options.onEvent({ kind: "wal-truncation-waits", attempts, nextTryMs });
    this.#retry = setTimeout(() => this.#tryErase(), nextTryMs);
  }

  #truncate(): boolean {
    this.#db.pragma(`busy_timeout = ${TRUNCATE_WAIT_MS}`);
    try {
      return this.#run("TRUNCATE").busy === 0n;
    } finally {
      this.#db.pragma(`busy_timeout = ${this.#options.busyTimeoutMs}`);
    }
  }

  #run(mode: "NOOP" | "PASSIVE" | "TRUNCATE"): Progress {
    return (this.#db.pragma(`wal_checkpoint(${mode})`) as Progress[])[0]!;
  }

  #attempt<T>(checkpoint: () => T): T | undefined {
    try {
      const result = checkpoint();
      this.#lastFailure = undefined;
      return result;
    } catch (error) {
      if (isFailedFlush(error)) this.#options.onFatal(error);
      else this.#tellFailure(sqliteCode(error) ?? "unknown");
      return undefined;
    }
  }

  /** Once, not after each group for as long as it lasts. */
  #tellFailure(code: string): void {
    if (code === this.#lastFailure) return;
    this.#lastFailure = code;
    this.#options.onEvent({ kind: "checkpoint-failed", code });
  }
}
