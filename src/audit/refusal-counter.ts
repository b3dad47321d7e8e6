import type { ErrorCode } from "../domain/errors.ts";
import type { AuditLog, RefusalsRecord } from "./audit-log.ts";

export interface RefusalCounterOptions {
  /** Addresses that get a record of their own in one second; the others share one. Default 16. */
  readonly addressesPerSecond?: number;
  /** Records that may be written at once, after a quiet time. Default 1,000. */
  readonly burst?: number;
  /** Records a second that may be written for ever. Default 1: about 20 MB a day. */
  readonly sustainedPerSecond?: number;
  readonly intervalMs?: number;
  readonly clock?: () => number;
}

/**
 * Counts refusals of callers that proved nothing and logs the counts once a second, one record for each
 * address. Whoever may send anything at all decides how many there are, so their records are bounded twice:
 * in a second and in the long run. What is over goes into one count, and no refusal is left out of the counts.
 */
export class RefusalCounter {
  readonly #log: AuditLog;
  readonly #options: Required<RefusalCounterOptions>;
  readonly #counts = new Map<string, { address: string; code: ErrorCode; count: number }>();
  /** Refusals of addresses that got no record: a number for each code, whatever strangers do. */
  readonly #rest = new Map<ErrorCode, number>();
  #allowance: number;
  #allowedAt: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: AuditLog, options: RefusalCounterOptions = {}) {
    this.#log = log;
    this.#options = {
      addressesPerSecond: 16,
      burst: 1000,
      sustainedPerSecond: 1,
      intervalMs: 1000,
      clock: Date.now,
      ...options,
    };
    this.#allowance = this.#options.burst;
    this.#allowedAt = this.#options.clock();
  }

  /** `address`: without the port. Costs a map look-up. */
  refused(address: string, code: ErrorCode): void {
    const key = `${code} ${address}`;
    const known = this.#counts.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#counts.size < this.#options.addressesPerSecond)
      this.#counts.set(key, { address, code, count: 1 });
    else this.#addToRest(code, 1);
    this.#flushSoon();
  }

  /** Logs what was counted so far. What can't be logged now is kept, as a sum, and logged later. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#earn();
    const counts = [...this.#counts.values()].sort((a, b) => b.count - a.count);
    this.#counts.clear();
    const records: RefusalsRecord[] = [];
    for (const { address, code, count } of counts) {
      // One record is always left for the sum of what gets none.
      if (this.#allowance - records.length >= 2) records.push({ kind: "refusals", address, count, code });
      else this.#addToRest(code, count);
    }
    for (const [code, count] of [...this.#rest]) {
      if (this.#allowance - records.length < 1) break;
      this.#rest.delete(code);
      records.push({ kind: "refusals", address: undefined, count, code });
    }
    this.#allowance -= records.length;
    await Promise.all(records.map((record) => this.#write(record)));
    if (this.#rest.size > 0) this.#flushSoon();
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => void this.flush(), this.#options.intervalMs).unref();
  }

  async #write(record: RefusalsRecord): Promise<void> {
    try {
      await this.#log.append(record);
    } catch {
      this.#addToRest(record.code, record.count);
    }
  }

  #addToRest(code: ErrorCode, count: number): void {
    this.#rest.set(code, (this.#rest.get(code) ?? 0) + count);
  }

  #earn(): void {
    const now = this.#options.clock();
    const seconds = Math.max(0, now - this.#allowedAt) / 1000;
    this.#allowedAt = now;
    const { burst, sustainedPerSecond } = this.#options;
    this.#allowance = Math.min(burst, this.#allowance + seconds * sustainedPerSecond);
  }
}
