import type { ChangedNames } from "./opened-secrets.ts";

/** How many waiters are woken in one turn of the event loop, so that a large fan-out does not hold up other calls. */
const WOKEN_A_TURN = 64;

/** One stream's ear for the names it follows. */
export class Subscription {
  readonly names: readonly string[];
  readonly #close: (subscription: Subscription) => void;
  #rung = true;
  #wake: (() => void) | undefined;
  /** What rang since the last `arm`; "all" when it may be anything. */
  #changed: Set<string> | "all" = "all";

  constructor(names: readonly string[], close: (subscription: Subscription) => void) {
    this.names = names;
    this.#close = close;
  }

  /** Call before reading: whatever is committed from here on ends the next `wait` at once. Tells what rang before. */
  arm(): ReadonlySet<string> | "all" {
    const changed = this.#changed;
    this.#rung = false;
    this.#changed = new Set();
    return changed;
  }

  /** Waits for a ring, at most `ms` milliseconds, and no longer than until the abort. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#rung || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener("abort", end, { once: true });
      this.#wake = end;
    });
  }

  ring(name: string | "all"): void {
    this.#rung = true;
    if (name === "all") this.#changed = "all";
    else if (this.#changed !== "all") this.#changed.add(name);
  }

  wake(): void {
    this.#wake?.();
  }

  close(): void {
    this.#close(this);
  }
}

/**
 * Wakes the streams whose names changed. It carries no state and no value: a stream that is woken reads what is
 * so now, which is why a ring too many does no harm and none is lost between a read and a wait.
 */
export class Bell {
  readonly #byName = new Map<string, Set<Subscription>>();
  readonly #all = new Set<Subscription>();
  #toWake = new Set<Subscription>();
  #waking = false;

  subscribe(names: readonly string[]): Subscription {
    const subscription = new Subscription(names, (closed) => this.#remove(closed));
    this.#all.add(subscription);
    for (const name of names) {
      let listeners = this.#byName.get(name);
      if (listeners === undefined) {
        listeners = new Set();
        this.#byName.set(name, listeners);
      }
      listeners.add(subscription);
    }
    return subscription;
  }

  ring(names: ChangedNames): void {
    if (names === "all") {
      for (const subscription of this.#all) this.#rouse(subscription, "all");
    } else {
      for (const name of names) {
        for (const subscription of this.#byName.get(name) ?? []) this.#rouse(subscription, name);
      }
    }
    if (!this.#waking && this.#toWake.size > 0) this.#wakeSome();
  }

  get size(): number {
    return this.#all.size;
  }

  #rouse(subscription: Subscription, name: string | "all"): void {
    subscription.ring(name);
    this.#toWake.add(subscription);
  }

  #wakeSome(): void {
    let woken = 0;
    for (const subscription of this.#toWake) {
      this.#toWake.delete(subscription);
      subscription.wake();
      woken += 1;
      if (woken === WOKEN_A_TURN) break;
    }
    this.#waking = this.#toWake.size > 0;
    if (this.#waking) setImmediate(() => this.#wakeSome());
  }

  #remove(subscription: Subscription): void {
    this.#all.delete(subscription);
    this.#toWake.delete(subscription);
    for (const name of subscription.names) {
      const listeners = this.#byName.get(name);
      listeners?.delete(subscription);
      if (listeners?.size === 0) this.#byName.delete(name);
    }
  }
}
