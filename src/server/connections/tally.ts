/** So long after the first of a burst it is told of, milliseconds. */
const BURST_MS = 1_000;

/** Counts what comes in bursts, so that a log gets one line for each second of them. */
export class Tally<T = void> {
  readonly #told: (count: number, last: T) => void;
  #burst: { count: number; last: T; readonly timer: NodeJS.Timeout } | undefined;

  constructor(told: (count: number, last: T) => void) {
    this.#told = told;
  }

  add(one: T): void {
    if (this.#burst === undefined) {
      this.#burst = { count: 1, last: one, timer: setTimeout(() => this.tell(), BURST_MS) };
      return;
    }
    this.#burst.count += 1;
    this.#burst.last = one;
  }

  /** Tells now, if there is anything to tell. */
  tell(): void {
    if (this.#burst === undefined) return;
    const { count, last, timer } = this.#burst;
    this.#burst = undefined;
    clearTimeout(timer);
    this.#told(count, last);
  }
}
