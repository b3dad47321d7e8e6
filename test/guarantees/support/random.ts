/** Numbers that are the same for the same seed; every run prints its seed, and SLOTS_TEST_SEED repeats it. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, at least 0 and below `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error("nothing to pick from");
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Uint8Array.from({ length }, () => this.below(256)));
  }

  /** Another sequence, which what happens to this one does not move. */
  fork(): Random {
    return new Random(this.below(2 ** 32));
  }
}

/** The seed of this run, printed with what it is for. */
export function seedOf(what: string): number {
  const given = process.env.SLOTS_TEST_SEED;
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  console.log(`${what}: SLOTS_TEST_SEED=${seed}`);
  return seed;
}

/** How many of something, from a variable of the environment when it is set. */
export function countOf(variable: string, standard: number): number {
  const given = process.env[variable];
  if (given === undefined) return standard;
  const count = Number(given.replaceAll(/[_,]/g, ""));
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`${variable}: '${given}' is not a count`);
  return count;
}

/** The same, where "every" asks for each that there is. */
export function countOrEvery(variable: string, standard: number): number | "every" {
  return process.env[variable] === "every" ? "every" : countOf(variable, standard);
}
