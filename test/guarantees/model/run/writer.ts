import type { Op } from "../model.ts";
import type { Action } from "../program.ts";
import type { Caller } from "./caller.ts";
import type { Context } from "./context.ts";

const LARGE_BYTES = 60_000;
const FLOOD_PUTS = 40;

/** The client that writes: makes up values and request ids, and remembers what it did to do it again. */
export class Writer {
  readonly #context: Context;
  readonly #caller: Caller;
  readonly #mutations: { readonly name: string; readonly op: Op }[] = [];
  readonly #lastPut = new Map<string, string>();
  #values = 0;
  #ids = 0;

  constructor(context: Context, caller: Caller) {
    this.#context = context;
    this.#caller = caller;
  }

  put(action: Action & { do: "put" }): Promise<void> {
    const name = this.#context.name(action.name);
    const key = `${name} ${action.slot}`;
    const fresh = this.#freshValue();
    const value = {
      new: fresh,
      same: this.#lastPut.get(key) ?? fresh,
      empty: "",
      large: `${fresh}~${LARGE_BYTES}`,
    }[action.value];
    this.#lastPut.set(key, value);
    const known = this.#caller.revisions(name);
    const expected = { none: undefined, zero: 0n, right: known.at(-1), stale: known.at(-2) }[action.expected];
    const op: Op = {
      op: "put",
      ...(action.slot === null ? {} : { slot: BigInt(action.slot) }),
      value,
      overwrite: action.overwrite,
      disabled: action.disabled,
      ...(expected === undefined ? {} : { expected }),
    };
    return this.change(name, op, action.server);
  }

  update(name: string, server: number): Promise<void> {
    return this.change(name, { op: "update", comment: `c${++this.#values}` }, server);
  }

  change(name: string, op: Op, server: number): Promise<void> {
    this.#ids++;
    const withId = this.#context.faulty || this.#ids % 3 !== 0;
    const named = withId ? { ...op, id: `${this.#context.prefix}-${this.#ids}` } : op;
    if (withId) this.#mutations.push({ name, op: named });
    return this.#caller.call(0, name, named, server);
  }

  again({ back, otherwise, server }: Action & { do: "again" }): Promise<void> {
    const mutation = this.#mutations.at(-1 - back);
    if (mutation === undefined) return Promise.resolve();
    const { name, op } = mutation;
    if (!otherwise) return this.#caller.call(0, name, op, server);
    const other: Op = op.op === "put" ? { ...op, value: `${op.value}x` } : op;
    return this.#caller.call(0, name, other, server);
  }

  /** Writes more to a secret than the transport holds. */
  async flood(name: string, server: number): Promise<void> {
    for (let count = 0; count < FLOOD_PUTS; count++) {
      const value = `${this.#freshValue()}~${LARGE_BYTES}`;
      const id = `${this.#context.prefix}-${++this.#ids}`;
      const op: Op = { op: "put", slot: 2n ** 62n, value, overwrite: true, disabled: false, id };
      await this.#caller.call(0, name, op, server);
    }
  }

  /** After a restore: request ids of before it mean nothing any more. */
  forget(): void {
    this.#mutations.length = 0;
  }

  #freshValue(): string {
    return `${this.#context.prefix.replaceAll("/", "-")}v${++this.#values}`;
  }
}
