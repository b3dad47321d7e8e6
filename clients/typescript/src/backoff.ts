export const BASE_DELAY_MS = 100;
export const MAX_DELAY_MS = 10_000;

/** Full jitter: anything from 0 to 100 ms * 2^failures, at most `capMs`. */
export function backoffMs(
  failures: number,
  capMs = MAX_DELAY_MS,
  random: () => number = Math.random,
): number {
  return random() * Math.min(capMs, BASE_DELAY_MS * 2 ** Math.min(failures, 30));
}

/** Waits, or until the signal aborts; never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
