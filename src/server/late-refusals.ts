/** Refusals a second that who failed too often gets, all addresses together: what a flood may cost, whatever its size. */
const PER_SECOND = 2_000;
/** A few at a time: calls that were answered together would come again together, and hold up good ones. */
const EACH_TURN = 4;
/** Refusals that may be on their way at once. */
const MOST_WAITING = 4_096;

/**
 * Answers those who failed too often one after the other, at a rate that leaves the server free for good callers. Who
 * tries again once it was answered is slowed down to that rate, however many calls it has on the way.
 */
export class LateRefusals {
  readonly #waiting: (() => void)[] = [];
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Resolves when the refusal may be sent; undefined, so at once, when too many wait already. */
  turn(): Promise<void> | undefined {
    if (this.#waiting.length - this.#next >= MOST_WAITING) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#timer ??= setInterval(() => this.#release(), (1000 * EACH_TURN) / PER_SECOND);
    });
  }

  #release(): void {
    for (let left = EACH_TURN; left > 0 && this.#next < this.#waiting.length; left--) {
      this.#waiting[this.#next++]?.();
    }
    if (this.#next === this.#waiting.length) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    if (this.#next >= MOST_WAITING || this.#timer === undefined) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
  }
}
