/** A longer one is taken for 1 ms by timers. */
const LONGEST_MS = 2 ** 31 - 1;
const LEAST_MS = 900_000;

/** How long a test of so many cases may take, milliseconds: it grows with a count that somebody asked for. */
export function limitMs(count: number, eachMs: number): number {
  return Math.min(LONGEST_MS, Math.max(LEAST_MS, count * eachMs));
}
