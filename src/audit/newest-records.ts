import type { LoggedRecord } from "./search.ts";

/** Keeps the newest so many of what it is shown. */
export class NewestRecords {
  readonly #limit: number;
  #kept: LoggedRecord[] = [];
  #least = Number.NEGATIVE_INFINITY;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(record: LoggedRecord): void {
    if (record.time < this.#least) return;
    this.#kept.push(record);
    // Sorting now and then, not each time, costs the same for each record however many there are.
    if (this.#kept.length >= 2 * this.#limit) this.#trim();
  }

  /** True when it is full and nothing as old as this would get in. */
  isAbove(time: number): boolean {
    this.#trim();
    return this.#kept.length === this.#limit && time < this.#kept[0]!.time;
  }

  /** Oldest first. */
  take(): readonly LoggedRecord[] {
    this.#trim();
    return this.#kept;
  }

  #trim(): void {
    this.#kept.sort((a, b) => a.time - b.time || Number(a.fields.seq) - Number(b.fields.seq));
    this.#kept = this.#kept.slice(-this.#limit);
    if (this.#kept.length === this.#limit) this.#least = this.#kept[0]!.time;
  }
}
