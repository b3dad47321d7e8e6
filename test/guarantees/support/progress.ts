const EVERY_MS = 15_000;

/** Tells every 15 s how far long work has come. Work that never waits gives others a turn here, too. */
export class Progress {
  readonly #what: string;
  readonly #total: number;
  readonly #began = performance.now();
  #told = performance.now();
  #turn = performance.now();
  #done = 0;

  /** `what`: the things that are counted, in the plural. */
  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
  }

  /** One more is done. */
  async step(): Promise<void> {
    this.#done += 1;
    const now = performance.now();
    if (now - this.#turn < 100) return;
    this.#turn = now;
    if (now - this.#told > EVERY_MS) {
      this.#told = now;
      const left = ((now - this.#began) / this.#done) * (this.#total - this.#done);
      const minutes = (left / 60_000).toFixed(1);
      console.log(
        `${this.#done} of ${this.#total} ${this.#what}, ${this.seconds} s; some ${minutes} min to go`,
      );
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Since it began. */
  get seconds(): number {
    return Math.round((performance.now() - this.#began) / 1000);
  }
}
