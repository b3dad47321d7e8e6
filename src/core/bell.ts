import type { Head } from "../storage/records.ts";
import type { Alarm, Alarms } from "./alarms.ts";
import type { Call } from "./call.ts";
import type { ChangedNames } from "./opened-secrets.ts";

/** How many streams are woken in one turn of the event loop, so that a large fan-out does not hold up other calls. */
const WOKEN_A_TURN = 64;
/** The same while there are other calls: each turn has its own cost, and each call waits for a turn or two. */
const WOKEN_BESIDE_CALLS = 16;
/**
 * How many of one connection are woken, over some turns, before it is the turn of the next: what they are sent in turns
 * that follow each other leaves in fewer writes of the socket. Most clients have no more on one.
 */
const WOKEN_IN_A_ROW = 128;
/** For how long after a call there are taken to be more, milliseconds. */
const BESIDE_MS = 20;

const NOTHING: ReadonlySet<string> = new Set();

/** Where the store stood at a read that began after the subscription was armed; undefined: arm, then ask it. */
type ArmedHead = Head | undefined;

/** One stream's ear for the names it follows. */
export class Subscription implements Alarm {
  at = Number.POSITIVE_INFINITY;
  tick: number | undefined;
  readonly names: readonly string[];
  readonly #bell: Bell;
  /** Streams of one connection are woken together: what they are sent leaves in one piece. */
  readonly connection: Call["connection"];
  readonly #signal: AbortSignal;
  #rung = true;
  #wake: ((head: ArmedHead) => void) | undefined;
  /** What rang since the last `arm`; "all" when it may be anything. */
  #changed: Set<string> | "all" | undefined = "all";
  /** Whether its turn to be woken is to come. */
  queued = false;

  constructor(bell: Bell, names: readonly string[], call: Pick<Call, "connection" | "signal">) {
    this.#bell = bell;
    this.names = names;
    this.connection = call.connection;
    this.#signal = call.signal;
    this.#signal.addEventListener("abort", () => this.wake(undefined), { once: true });
  }

  get waiting(): boolean {
    return this.#wake !== undefined;
  }

  /** Call before reading: whatever is committed from here on ends the next wait at once. Tells what rang before. */
  arm(): ReadonlySet<string> | "all" {
    const changed = this.#changed ?? NOTHING;
    this.#rung = false;
    this.#changed = undefined;
    return changed;
  }

  /**
   * Calls `wake` at a ring, after about `ms` milliseconds, or at the abort, whichever comes first; at once when it
   * has come. Who is woken together shares one look at the store.
   */
  onWake(ms: number, wake: (head: ArmedHead) => void): void {
    if (this.#rung || this.#signal.aborted) {
      wake(undefined);
      return;
    }
    this.#bell.alarms.set(this, ms);
    this.#wake = wake;
  }

  /** `onWake` for those who wait by promise. */
  wait(ms: number): Promise<ArmedHead> {
    return new Promise((resolve) => this.onWake(ms, resolve));
  }

  due(): void {
    this.#bell.rouse(this);
  }

  ring(name: string | "all"): void {
    this.#rung = true;
    if (name === "all" || this.names.length === 1) this.#changed = "all";
    else if (this.#changed !== "all") {
      this.#changed ??= new Set();
      this.#changed.add(name);
    }
  }

  /** As `arm`, when it is about to be woken: what rang remains to be told of. */
  rearm(): void {
    if (this.waiting) this.#rung = false;
  }

  wake(head: ArmedHead): void {
    const wake = this.#wake;
    this.#wake = undefined;
    this.at = Number.POSITIVE_INFINITY;
    wake?.(head);
  }

  close(): void {
    this.#bell.alarms.remove(this);
    this.#bell.remove(this);
  }
}

/**
 * Wakes the streams whose names changed. It carries no state and no value: a stream that is woken reads what is
 * so now, which is why a ring too many does no harm and none is lost between a read and a wait.
 */
export class Bell {
  readonly alarms: Alarms;
  readonly #sync: () => Head | undefined;
  readonly #byName = new Map<string, Set<Subscription>>();
  readonly #all = new Set<Subscription>();
  /** By connection, the next one first; of each, who was due first. Whoever rings again stays in its place. */
  readonly #toWake = new Map<Call["connection"], Subscription[]>();
  /** How many of the first one were woken since it is the first. */
  #inARow = 0;
  #waking = false;
  #called = false;
  #besideUntil = 0;

  /** `sync`: where the store stands now, if that can be read; must not throw. */
  constructor(alarms: Alarms, sync: () => Head | undefined) {
    this.alarms = alarms;
    this.#sync = sync;
  }

  subscribe(names: readonly string[], call: Pick<Call, "connection" | "signal">): Subscription {
    const subscription = new Subscription(this, names, call);
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

  /** Somebody calls who waits for no ring: what is woken from now on leaves more room. */
  makeRoom(): void {
    this.#called = true;
  }

  ring(names: ChangedNames): void {
    if (names === "all") {
      for (const subscription of this.#all) this.#ring(subscription, "all");
    } else {
      for (const name of names) {
        for (const subscription of this.#byName.get(name) ?? []) this.#ring(subscription, name);
      }
    }
  }

  get size(): number {
    return this.#all.size;
  }

  /** Wakes the subscription in its turn, if it waits. */
  rouse(subscription: Subscription): void {
    if (!subscription.waiting || subscription.queued) return;
    subscription.queued = true;
    const { connection } = subscription;
    const others = this.#toWake.get(connection);
    if (others === undefined) this.#toWake.set(connection, [subscription]);
    else others.push(subscription);
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => this.#wakeSome());
  }

  remove(subscription: Subscription): void {
    this.#all.delete(subscription);
    for (const name of subscription.names) {
      const listeners = this.#byName.get(name);
      listeners?.delete(subscription);
      if (listeners?.size === 0) this.#byName.delete(name);
    }
  }

  #ring(subscription: Subscription, name: string | "all"): void {
    subscription.ring(name);
    this.rouse(subscription);
  }

  #wakeSome(): void {
    const woken = this.#nextToWake();
    for (const subscription of woken) {
      subscription.queued = false;
      subscription.rearm();
    }
    const head = this.#sync();
    for (const subscription of woken) subscription.wake(head);
    this.#waking = this.#toWake.size > 0;
    if (this.#waking) setImmediate(() => this.#wakeSome());
  }

  /** No connection waits for more than a row of each other one, however often their streams are due (W6, W13). */
  #nextToWake(): readonly Subscription[] {
    const most = this.#mostToWake();
    const woken: Subscription[] = [];
    for (const [connection, due] of this.#toWake) {
      const some = due.splice(0, Math.min(most - woken.length, WOKEN_IN_A_ROW - this.#inARow));
      woken.push(...some);
      this.#inARow += some.length;
      if (due.length === 0 || this.#inARow === WOKEN_IN_A_ROW) {
        this.#inARow = 0;
        this.#toWake.delete(connection);
        if (due.length > 0) this.#toWake.set(connection, due);
      }
      if (woken.length === most) break;
    }
    return woken;
  }

  #mostToWake(): number {
    const now = performance.now();
    if (this.#called) this.#besideUntil = now + BESIDE_MS;
    this.#called = false;
    return now < this.#besideUntil ? WOKEN_BESIDE_CALLS : WOKEN_A_TURN;
  }
}
