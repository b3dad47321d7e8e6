import { invalidArgument, SlotsError } from "./errors.ts";
import { MAX_NUMBER, type NumberInput, toNumber64 } from "./numbers.ts";
import type { SecretValue } from "./secret-value.ts";
import type { SecretVersion } from "./secret-version.ts";
import type { AbsentReasonName } from "./watch-secret.ts";

/** One live slot as it was received; shared by all states that hold it. */
export type SlotRecord = {
  readonly slot: bigint;
  /** The commit that made the slot so. */
  readonly commit: bigint;
  readonly createTime: SlotTime | undefined;
  /** Undefined: the record does not open on the server. */
  readonly value: SecretValue | undefined;
};

export type SlotTime = { readonly seconds: bigint; readonly nanos: number };

/** A live slot whose record does not open on the server; resolving to it is DATA_LOSS. */
export type FailedVersion = { readonly name: string; readonly slot: bigint; readonly value: undefined };

type StateInput = {
  readonly name: string;
  readonly epoch: string;
  readonly revision: bigint;
  readonly absent: AbsentReasonName | undefined;
  /** Ascending by slot. */
  readonly records: readonly SlotRecord[];
};

/**
 * The state of one secret at one revision. Never changes: a newer state is a new object, so that whoever reads gets
 * one state the store really had, never a mixture.
 */
export class SecretState {
  readonly name: string;
  readonly epoch: string;
  readonly revision: bigint;
  /** Why there is no live slot; undefined when there is one. */
  readonly absent: AbsentReasonName | undefined;
  /** The live slots in rising order. */
  readonly slots: readonly (SecretVersion | FailedVersion)[];
  readonly #records: readonly SlotRecord[];
  readonly #current: SecretVersion | undefined;
  /** The numbers as doubles, when all of them are exact so: comparing doubles allocates nothing. */
  readonly #doubles: Float64Array | undefined;

  constructor({ name, epoch, revision, absent, records }: StateInput) {
    this.name = name;
    this.epoch = epoch;
    this.revision = revision;
    this.absent = absent;
    this.#records = records;
    this.slots = records.map((record) => versionOf(record, this));
    const top = this.slots.at(-1);
    this.#current = top?.value === undefined ? undefined : top;
    const exact = (records.at(-1)?.slot ?? 0n) <= BigInt(Number.MAX_SAFE_INTEGER);
    this.#doubles = exact ? Float64Array.from(records, ({ slot }) => Number(slot)) : undefined;
  }

  /** The records that the state was made of. */
  get records(): readonly SlotRecord[] {
    return this.#records;
  }

  /** The version in the largest slot; undefined when absent or failed. */
  get top(): SecretVersion | undefined {
    return this.#current;
  }

  /** The version in the largest slot, or the typed error of section 3 of clients/README.md. */
  current(): SecretVersion {
    return this.#current ?? this.#fail(this.slots.length - 1);
  }

  /** The version in the largest slot at or below `at`, or the typed error. */
  effectiveAt(at: NumberInput): SecretVersion {
    const index = this.#indexAt(at);
    const version = this.slots[index];
    return version?.value === undefined ? this.#fail(index, at) : version;
  }

  /** Every version effective somewhere in [t - overlap, t + overlap], largest slot first; failed ones left out. */
  acceptable(t: NumberInput, overlap: NumberInput): SecretVersion[] {
    const middle = toNumber64(t, "t");
    const reach = toNumber64(overlap, "overlap");
    const from = middle > reach ? middle - reach : 0n;
    const to = middle + reach < MAX_NUMBER ? middle + reach : MAX_NUMBER;
    const lowest = Math.max(0, this.#indexAt(from));
    const accepted: SecretVersion[] = [];
    for (let index = this.#indexAt(to); index >= lowest; index--) {
      const version = this.slots[index]!;
      if (version.value !== undefined) accepted.push(version);
    }
    return accepted;
  }

  /** The index of the largest slot at or below `at`, -1 when there is none. */
  #indexAt(at: NumberInput): number {
    if (typeof at === "number" ? !Number.isSafeInteger(at) || at < 0 : at < 0n || at > MAX_NUMBER) {
      toNumber64(at, "at");
    }
    const doubles = this.#doubles;
    let low = 0;
    let high = this.slots.length;
    if (doubles === undefined) {
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (this.slots[middle]!.slot <= at) low = middle + 1;
        else high = middle;
      }
    } else {
      // A bigint past 2^53 may be rounded here: it stays above every slot all the same.
      const key = typeof at === "number" ? at : Number(at);
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (doubles[middle]! <= key) low = middle + 1;
        else high = middle;
      }
    }
    return low - 1;
  }

  #fail(index: number, at?: NumberInput): never {
    const failed = this.slots[index];
    if (failed !== undefined) throw dataLoss(failed);
    throw notFound(this, at);
  }
}

function versionOf(
  { slot, createTime, value }: SlotRecord,
  { name, epoch, revision }: SecretState,
): SecretVersion | FailedVersion {
  if (value === undefined) return { name, slot, value };
  const date = createTime && new Date(Number(createTime.seconds) * 1000 + Math.trunc(createTime.nanos / 1e6));
  return { name, slot, value, revision, epoch, createTime: date };
}

function dataLoss({ name, slot }: { readonly name: string; readonly slot: bigint }): SlotsError {
  return new SlotsError("DATA_LOSS", `slot ${slot} of "${name}" does not open on the server`, {
    reason: "DATA_LOSS",
    metadata: { name, slot: String(slot) },
  });
}

function notFound({ name, absent }: SecretState, at: NumberInput | undefined): SlotsError {
  if (absent === "NOT_EXISTING") {
    return new SlotsError("NOT_FOUND", `there is no secret "${name}"`, {
      reason: "SECRET_NOT_FOUND",
      metadata: { name },
    });
  }
  const message =
    at === undefined || absent !== undefined
      ? `"${name}" has no enabled slot`
      : `"${name}" has no enabled slot at or below ${at}`;
  return new SlotsError("NOT_FOUND", message, {
    reason: "NO_EFFECTIVE_SLOT",
    metadata: { name, ...(at === undefined ? {} : { at: String(at) }) },
  });
}

/** Whether `current()` answers the same in both: slot and bytes, or the same failure or absence. */
export function sameCurrent(a: SecretState, b: SecretState): boolean {
  const [x, y] = [a.slots.at(-1), b.slots.at(-1)];
  if (x === undefined || y === undefined) return x === y && a.absent === b.absent;
  if (x.slot !== y.slot) return false;
  return x.value === undefined || y.value === undefined ? x.value === y.value : x.value.equals(y.value);
}

/** A name that was not declared when the set was opened. */
export function notDeclared(name: string): SlotsError {
  return invalidArgument(`"${name}" was not declared at open`, "NAME_NOT_DECLARED");
}
