import { SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { text, type Wire, WireError } from "../../support/wire.ts";
import { type Change, type Contents, Ledger, type LedgerSlot } from "./ledger.ts";
import type { Random } from "./random.ts";

const SLOTS = 8;
const STATES = { 1: "enabled", 2: "disabled", 3: "destroyed" } as const;

export interface WriterOptions {
  /** Bytes of the largest values. */
  readonly maxBytes?: number;
  readonly destroys?: boolean;
  /** Whether some values are put disabled. */
  readonly stages?: boolean;
}

/** The only writer of one secret, one change after the other; its ledger says what must be there. */
export class Writer {
  readonly ledger: Ledger;
  readonly #random: Random;
  readonly #options: Required<WriterOptions>;
  #count = 0;
  /** Changes that were answered OK. */
  done = 0;
  /** Every revision that an answer told. */
  readonly revisions: bigint[] = [];
  /** The newest of them. */
  revision = 0n;

  constructor(name: string, random: Random, options: WriterOptions = {}) {
    this.ledger = new Ledger(name);
    this.#random = random;
    this.#options = { maxBytes: 3000, destroys: true, stages: true, ...options };
  }

  get name(): string {
    return this.ledger.name;
  }

  /** Changes one thing. Resolves to the error of a call that failed; what it asked for is then in doubt. */
  async step(wire: Wire): Promise<WireError | undefined> {
    const change = this.#choose();
    this.ledger.begin(change);
    try {
      const revision = await this.#ask(wire, change);
      this.revisions.push(revision);
      if (revision > this.revision) this.revision = revision;
      this.ledger.answered();
      this.done += 1;
      return undefined;
    } catch (error) {
      if (error instanceof WireError) return error;
      throw error;
    }
  }

  /** Until a call fails or it is told to stop. */
  async run(wire: Wire, stop: AbortSignal): Promise<WireError | undefined> {
    while (!stop.aborted) {
      const error = await this.step(wire);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  /** Reads everything back and says what is not as it was answered. */
  async check(wire: Wire): Promise<string | undefined> {
    return this.ledger.settle(await readContents(wire, this.name));
  }

  #choose(): Change {
    const random = this.#random;
    const { known } = this.ledger;
    const kind = random.next();
    const existing = [...known].filter(([, { state }]) => state !== "destroyed");
    if (kind < 0.2 && existing.length > 0) {
      const [slot, { state }] = random.pick(existing);
      return { kind: state === "enabled" ? "disable" : "enable", slot };
    }
    if (kind < 0.24 && existing.length > 0 && this.#options.destroys) {
      return { kind: "destroy", slot: random.pick(existing)[0] };
    }
    if (kind < 0.26 && known.size > 0) return { kind: "delete" };
    const slot = BigInt(random.below(SLOTS));
    return {
      kind: "put",
      slot,
      value: this.#value(slot),
      overwrite: known.has(slot),
      staged: random.chance(0.1) && this.#options.stages,
    };
  }

  /** Says where it belongs, and is another one each time. */
  #value(slot: bigint): string {
    this.#count += 1;
    const start = `${this.name}/${slot}/${this.#count};`;
    const length = this.#random.below(this.#random.chance(0.1) ? this.#options.maxBytes : 200);
    return start + start.repeat(Math.ceil(length / start.length)).slice(0, length);
  }

  async #ask(wire: Wire, change: Change): Promise<bigint> {
    const { name } = this;
    const { putSlot, disableSlot, enableSlot, destroySlot, deleteSecret } = SecretService.method;
    switch (change.kind) {
      case "put": {
        const { slot, value, overwrite, staged } = change;
        const { revision } = await wire.call(putSlot, {
          name,
          slot,
          value: new TextEncoder().encode(value),
          overwrite,
          initialState: staged ? 2 : 1,
        });
        return revision;
      }
      case "disable":
        return (await wire.call(disableSlot, { name, slot: change.slot })).revision;
      case "enable":
        return (await wire.call(enableSlot, { name, slot: change.slot })).revision;
      case "destroy":
        return (await wire.call(destroySlot, { name, slot: change.slot })).revision;
      case "delete":
        return (await wire.call(deleteSecret, { name })).revision;
      default:
        return change satisfies never;
    }
  }
}

/** All that the wire tells of a secret's slots. */
export async function readContents(wire: Wire, name: string): Promise<Contents> {
  let listed: Awaited<ReturnType<typeof listSlots>>;
  try {
    listed = await listSlots(wire, name);
  } catch (error) {
    if (error instanceof WireError && error.reason === "SECRET_NOT_FOUND") return new Map();
    throw error;
  }
  const slots = await Promise.all(
    listed.slots.map(async ({ slot = 0n, state }): Promise<[bigint, LedgerSlot]> => {
      const named = STATES[state as 1 | 2 | 3];
      if (named !== "enabled") return [slot, { state: named, value: "" }];
      const effective = await wire.at(name, slot);
      if (effective.slot !== slot) throw new Error(`at ${slot} of ${name} answers slot ${effective.slot}`);
      return [slot, { state: named, value: text(effective.value) }];
    }),
  );
  return new Map(slots);
}

function listSlots(wire: Wire, name: string) {
  return wire.call(SecretService.method.listSlots, { name, pageSize: 1000 });
}
