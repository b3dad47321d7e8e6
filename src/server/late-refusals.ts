/** Refusals a second that those who failed too often get, all together: what a flood may cost, whatever its size. */
const PER_SECOND = 2_000;
/** A few at a time: calls that are answered together come again together, and hold up good ones. */
const EACH_TURN = 4;
/** Refusals that may wait, each about 10 kB with its call; what is over is refused at once. */
const MOST_WAITING = 4_096;

/**
 * Answers those who failed too often one after the other, at a rate that leaves the server free for good callers. Who
 * tries again once it was answered is slowed down to that rate, however many calls it has on the way.
 */
export class LateRefusals {
  /** A ring of those who wait. Not a Set: with members that come and go one leaves the collector much to copy. */
  readonly #ring: ((() => void) | undefined)[] = Array(MOST_WAITING).fill(undefined);
  #first = 0;
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;

  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves when the refusal may be sent. */
  async turn(): Promise<void> {
    if (this.#waiting === MOST_WAITING) return;
    await new Promise<void>((resolve) => {
      this.#ring[(this.#first + this.#waiting) % MOST_WAITING] = resolve;
      this.#waiting += 1;
      this.#timer ??= setInterval(() => this.#release(EACH_TURN), (1000 * EACH_TURN) / PER_SECOND);
    });
  }

  /** Lets all go that wait. */
  flush(): void {
    this.#release(this.#waiting);
  }

  #release(most: number): void {
    for (let left = Math.min(most, this.#waiting); left > 0; left--) {
      this.#ring[this.#first]?.();
      this.#ring[this.#first] = undefined;
      this.#first = (this.#first + 1) % MOST_WAITING;
      this.#waiting -= 1;
    }
    if (this.#waiting > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
