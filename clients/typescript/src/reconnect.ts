import { backoffMs, MAX_DELAY_MS } from "./backoff.ts";
import type { Code, SlotsError } from "./errors.ts";

const HEALTHY_MS = 5000;
const RECENT_MS = 60_000;
const RECENT_MAX_DELAY_MS = 2000;

/** What ended a stream does not say that the server is gone for good: these are as UNAVAILABLE. */
const LIKE_UNAVAILABLE: ReadonlySet<Code> = new Set([
  "UNAVAILABLE",
  "CANCELLED",
  "INTERNAL",
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "DATA_LOSS",
]);

/**
 * When to connect again: full jitter from 100 ms doubling to 10 s. A server that was heard within the last minute
 * and is gone is tried at least every 2 s, so that all clients are back within 5 s of its restart.
 */
export class Reconnect {
  #failures = 0;
  #openedAt = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  #caughtUp = false;

  /** Milliseconds since the server was last heard, by the monotonic clock; undefined when never. */
  get ageMs(): number | undefined {
    return this.#heardAt === Number.NEGATIVE_INFINITY ? undefined : performance.now() - this.#heardAt;
  }

  opened(): void {
    this.#openedAt = performance.now();
    this.#caughtUp = false;
  }

  heard(): void {
    this.#heardAt = performance.now();
  }

  /** The stream delivered everything up to now. */
  caughtUp(): void {
    this.#caughtUp = true;
  }

  /** How long to wait after a stream that ended so (undefined: OK). */
  delayAfter(error: SlotsError | undefined): number {
    // A stream that fails right after it caught up is not healthy: it must not be reopened ever so fast.
    if (this.#caughtUp && performance.now() - this.#openedAt >= HEALTHY_MS) this.#failures = 0;
    const away = error === undefined || LIKE_UNAVAILABLE.has(error.code);
    const recent = (this.ageMs ?? Number.POSITIVE_INFINITY) < RECENT_MS;
    const delay = backoffMs(this.#failures++, away && recent ? RECENT_MAX_DELAY_MS : MAX_DELAY_MS);
    return Math.max(error?.retryDelayMs ?? 0, delay);
  }
}
