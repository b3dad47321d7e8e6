import { isIPv4, isIPv6 } from "node:net";
import { type Reason, SlotsError } from "../domain/errors.ts";
import { prepared } from "./status.ts";

/**
 * What limits count an address by: an IPv4 address as it is, an IPv6 one by its /64, since whoever has one of
 * those has 2^64. Anything else (a Unix socket has no address) is a group of its own.
 */
export function addressGroup(address: string): string {
  const mapped = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : "";
  const text = isIPv4(mapped) ? mapped : address;
  if (!isIPv6(text)) return text;
  const [head = "", tail] = (text.split("%")[0] ?? "").split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array<string>(zeros).fill("0"), ...after];
  const prefix = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${prefix.join(":")}::/64`;
}

/** The address in what grpc-js's `getPeer()` gives: `ADDRESS:PORT`, an IPv6 address without brackets. */
export function peerAddress(peer: string): string {
  const port = peer.lastIndexOf(":");
  return port < 0 ? peer : peer.slice(0, port);
}

export interface FailedLoginsOptions {
  /** Failures that an address may make at once. */
  readonly burst: number;
  /** Failures that it may make per second from then on. */
  readonly perSecond: number;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Addresses remembered; each costs about 150 bytes. */
  readonly maxAddresses?: number;
}

/**
 * Bounds what wrong credentials of one address can cost us: signature checks, log lines, audit records.
 *
 * Ask `check` before a proof that is costly to verify and once a proof has failed, never before a cheap one: a good
 * client behind the same address as a bad one must get in. Guessing is hopeless without this limit, too.
 */
export class FailedLogins {
  readonly #now: () => number;
  readonly #maxAddresses: number;
  /** The time that one failure takes to be forgotten, milliseconds. */
  readonly #each: number;
  /** The time that as many as are free at once take. */
  readonly #all: number;
  /** When all failures of an address are forgotten; the one that failed longest ago first. */
  readonly #clean = new Map<string, number>();
  /** By the time to wait, at most that of one failure: a flood gets the same ones again and again. */
  readonly #refusals = new Map<number, SlotsError>();

  constructor(options: FailedLoginsOptions) {
    this.#now = options.now;
    this.#maxAddresses = options.maxAddresses ?? 50_000;
    this.#each = 1000 / options.perSecond;
    this.#all = this.#each * options.burst;
  }

  get addresses(): number {
    return this.#clean.size;
  }

  /** RESOURCE_EXHAUSTED, TOO_MANY_FAILED_LOGINS, with the time after which one more try is free; or undefined. */
  refusal(address: string): SlotsError | undefined {
    const wait = this.#owed(addressGroup(address)) + this.#each - this.#all;
    if (wait <= 0) return undefined;
    const retryAfterMs = Math.ceil(wait);
    let refusal = this.#refusals.get(retryAfterMs);
    if (refusal === undefined) {
      const message = "too many failed logins from this address";
      refusal = prepared(new SlotsError("TOO_MANY_FAILED_LOGINS", message, { retryAfterMs }));
      this.#refusals.set(retryAfterMs, refusal);
    }
    return refusal;
  }

  check(address: string): void {
    const refusal = this.refusal(address);
    if (refusal !== undefined) throw refusal;
  }

  failed(address: string): void {
    const group = addressGroup(address);
    const owed = Math.min(this.#all, this.#owed(group) + this.#each);
    this.#clean.delete(group);
    this.#clean.set(group, this.#now() + owed);
    if (this.#clean.size > this.#maxAddresses) this.#forgetOldest();
  }

  /** How long until all failures of a group are forgotten; bounded even when the clock was set back. */
  #owed(group: string): number {
    const clean = this.#clean.get(group);
    return clean === undefined ? 0 : Math.min(this.#all, Math.max(0, clean - this.#now()));
  }

  /** Who fails from that many addresses can make us forget one; it then has its burst again, and no more. */
  #forgetOldest(): void {
    for (const oldest of this.#clean.keys()) {
      this.#clean.delete(oldest);
      return;
    }
  }
}

export interface ConcurrencyOptions {
  readonly max: number;
  readonly reason: Extract<Reason, "TOO_MANY_CALLS" | "TOO_MANY_WATCHES" | "TOO_MANY_CONNECTIONS">;
  /** Said to who is refused, milliseconds. */
  readonly retryAfterMs: number;
}

/**
 * Bounds what goes on at once for one key: calls or watches of an identity, connections of an address.
 * Remembers only keys that have something going on, so its memory is bounded by that.
 */
export class ConcurrencyLimit {
  readonly #options: ConcurrencyOptions;
  readonly #running = new Map<string, number>();

  constructor(options: ConcurrencyOptions) {
    this.#options = options;
  }

  get keys(): number {
    return this.#running.size;
  }

  /** Takes a place and returns the way to give it back (calling that twice does nothing); undefined when full. */
  tryEnter(key: string): (() => void) | undefined {
    const running = this.#running.get(key) ?? 0;
    if (running >= this.#options.max) return undefined;
    this.#running.set(key, running + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const rest = (this.#running.get(key) ?? 1) - 1;
      if (rest === 0) this.#running.delete(key);
      else this.#running.set(key, rest);
    };
  }

  /** As `tryEnter`, but throws RESOURCE_EXHAUSTED when full. */
  enter(key: string): () => void {
    const leave = this.tryEnter(key);
    if (leave !== undefined) return leave;
    const { reason, max, retryAfterMs } = this.#options;
    throw new SlotsError(reason, `more than ${max} at once`, {
      metadata: { max: String(max) },
      retryAfterMs,
    });
  }
}
