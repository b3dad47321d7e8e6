import type { Secrets } from "../../src/index.ts";

/** Reads handles over and over and looks for reads that fail or go backwards. */
export class Hammer {
  readonly #secrets: Secrets;
  readonly #names: readonly string[];
  readonly #timer: NodeJS.Timeout;
  readonly #last = new Map<string, { epoch: string; revision: bigint }>();
  #reads = 0;
  #failures = 0;
  #backwards = 0;
  #firstFailure = "";

  constructor(secrets: Secrets, names: readonly string[], perSecond: number) {
    this.#secrets = secrets;
    this.#names = names;
    const start = performance.now();
    let rounds = 0;
    // Timers are coarse: each tick catches up with the rate.
    this.#timer = setInterval(() => {
      const due = Math.min(((performance.now() - start) * perSecond) / 1000, rounds + perSecond);
      for (; rounds < due; rounds++) this.#round();
    }, 1);
  }

  stop(): object {
    clearInterval(this.#timer);
    return {
      reads: String(this.#reads),
      failures: String(this.#failures),
      backwards: String(this.#backwards),
      firstFailure: this.#firstFailure,
    };
  }

  #round(): void {
    for (const name of this.#names) {
      this.#reads++;
      try {
        const handle = this.#secrets.handle(name);
        const { slot, epoch, revision } = handle.current();
        handle.effectiveAt(slot);
        const last = this.#last.get(name);
        if (last?.epoch === epoch && revision < last.revision) this.#backwards++;
        this.#last.set(name, { epoch, revision });
      } catch (error) {
        this.#failures++;
        this.#firstFailure ||= String(error);
      }
    }
  }
}
