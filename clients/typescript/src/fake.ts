import { invalidArgument } from "./errors.ts";
import { announce, publish, SecretHandle } from "./handle.ts";
import { MAX_NUMBER, type NumberInput, toNumber64 } from "./numbers.ts";
import type { Warn } from "./options.ts";
import { SecretState, type SlotRecord } from "./secret-state.ts";
import { SecretValue } from "./secret-value.ts";
import { Secrets } from "./secrets.ts";
import type { AbsentReasonName } from "./watch-secret.ts";

type FakeValue = Uint8Array | string;

/** By name: a value in slot 0, or values by slot number. */
export type FakeInput = Readonly<
  Record<string, FakeValue | Readonly<Record<string, FakeValue>> | ReadonlyMap<NumberInput, FakeValue>>
>;

/** A set without a server, for tests: handles behave as real ones, and the test says when secrets rotate. */
export class FakeSecrets extends Secrets {
  #revision: bigint;

  private constructor(handles: ReadonlyMap<string, SecretHandle>, revision: bigint) {
    super(handles, { ageMs: () => 0, stale: () => false, close: () => Promise.resolve() });
    this.#revision = revision;
  }

  static create(input: FakeInput, warn: Warn = () => {}): FakeSecrets {
    let revision = 0n;
    const handles = new Map<string, SecretHandle>();
    for (const [name, value] of Object.entries(input)) {
      revision++;
      const records = slotsOf(value).map(([slot, bytes]) => record(slot, bytes, revision));
      records.sort((a, b) => (a.slot < b.slot ? -1 : 1));
      handles.set(name, new SecretHandle(stateOf(name, revision, records, "NO_ENABLED_SLOT"), warn));
    }
    return new FakeSecrets(handles, revision);
  }

  /** Puts a value into a slot: one past the largest number unless given. Gives the slot. */
  rotate(name: string, value: FakeValue, slot?: NumberInput): bigint {
    const { records } = this.handle(name).state();
    const largest = records.at(-1)?.slot;
    if (slot === undefined && largest === MAX_NUMBER) throw invalidArgument("there is no larger slot number");
    const number = slot === undefined ? (largest ?? -1n) + 1n : toNumber64(slot, "slot");
    const kept = records.filter((existing) => existing.slot !== number);
    const next = [...kept, record(number, value, this.#revision + 1n)];
    this.#apply(
      name,
      next.sort((a, b) => (a.slot < b.slot ? -1 : 1)),
      "NO_ENABLED_SLOT",
    );
    return number;
  }

  /** Takes a slot away, as disabling it does. */
  disable(name: string, slot: NumberInput): void {
    const number = toNumber64(slot, "slot");
    const { records } = this.handle(name).state();
    const kept = records.filter((existing) => existing.slot !== number);
    if (kept.length !== records.length) this.#apply(name, kept, "NO_ENABLED_SLOT");
  }

  /** Takes the whole secret away. */
  delete(name: string): void {
    this.#apply(name, [], "NOT_EXISTING");
  }

  #apply(name: string, records: readonly SlotRecord[], whenEmpty: AbsentReasonName): void {
    const handle = this.handle(name);
    const previous = handle.state();
    const change = { previous, current: stateOf(name, ++this.#revision, records, whenEmpty) };
    publish(handle, change);
    announce(handle, change);
  }
}

/** Handles with static values for tests; `rotate` changes them. */
export function fakeSecrets(input: FakeInput): FakeSecrets {
  return FakeSecrets.create(input);
}

function slotsOf(value: FakeInput[string]): [bigint, FakeValue][] {
  if (typeof value === "string" || value instanceof Uint8Array) return [[0n, value]];
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return entries.map(([slot, bytes]) => [
    toNumber64(typeof slot === "string" ? BigInt(slot) : slot, "slot"),
    bytes as FakeValue,
  ]);
}

function record(slot: bigint, value: FakeValue, commit: bigint): SlotRecord {
  return { slot, commit, createTime: undefined, value: new SecretValue(value) };
}

function stateOf(
  name: string,
  revision: bigint,
  records: readonly SlotRecord[],
  whenEmpty: AbsentReasonName,
): SecretState {
  const absent = records.length === 0 ? whenEmpty : undefined;
  return new SecretState({ name, epoch: "fake", revision, absent, records });
}
