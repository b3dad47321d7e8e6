import { SlotsError } from "../domain/errors.ts";
import { AppendBatch } from "./append-batch.ts";
import type { AuditLog, AuditRecord, AuditState } from "./audit-log.ts";
import { CHAIN_START, Chain } from "./chain.ts";
import { bodiesOf } from "./record-line.ts";
import { type AuditFilter, type LoggedRecord, matcher, parseRecord } from "./search.ts";

/** The log for tests: the same lines, kept in memory. */
export class MemoryAuditLog implements AuditLog {
  readonly chain = "0".repeat(32);
  readonly #chain = new Chain(new Uint8Array(32));
  readonly #clock: () => number;
  #head = CHAIN_START;
  #batch: AppendBatch | undefined;
  #closed = false;
  #woken = Promise.withResolvers<void>();
  readonly lines: string[] = [];
  /** While set, appends fail with this as the cause. */
  failure: unknown;

  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  get state(): AuditState {
    if (this.#closed) return "closed";
    return this.failure === undefined ? "ok" : "unavailable";
  }

  append(record: AuditRecord): Promise<void> {
    if (this.#closed) return Promise.reject(new SlotsError("AUDIT_UNAVAILABLE", "the audit log is closed"));
    if (this.#batch === undefined) {
      this.#batch = new AppendBatch();
      setImmediate(() => this.flush());
    }
    this.#batch.bodies.push(...bodiesOf(record, new Date(this.#clock()).toISOString()));
    return this.#batch.promise;
  }

  async *search(filter: AuditFilter): AsyncGenerator<LoggedRecord> {
    const matches = matcher(filter);
    const found = this.lines.map(parseRecord).filter((record) => record !== undefined && matches(record));
    let at = this.lines.length;
    yield* (filter.limit ? found.slice(-filter.limit) : found) as LoggedRecord[];
    if (!filter.follow) return;
    const aborted = new Promise<void>((resolve) => filter.signal?.addEventListener("abort", () => resolve()));
    while (!filter.signal?.aborted) {
      const woken = this.#woken.promise;
      for (; at < this.lines.length; at++) {
        const record = parseRecord(this.lines[at]!);
        if (record !== undefined && matches(record)) yield record;
      }
      await Promise.race([woken, aborted]);
    }
  }

  async close(): Promise<void> {
    this.flush();
    this.#closed = true;
  }

  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    if (this.failure !== undefined) {
      batch.reject(
        new SlotsError("AUDIT_UNAVAILABLE", "the audit log can't be written", { cause: this.failure }),
      );
      return;
    }
    const next = this.#chain.extend(this.#head, batch.bodies);
    this.#head = next.head;
    this.lines.push(...next.text.trimEnd().split("\n"));
    batch.resolve();
    this.#woken.resolve();
    this.#woken = Promise.withResolvers<void>();
  }
}
