import type { WatchSlotsResponse } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { SlotsError } from "./errors.ts";
import { SecretState, type SlotRecord } from "./secret-state.ts";
import { receivedValue } from "./secret-version.ts";
import { type AbsentReasonName, absentReasonName } from "./watch-secret.ts";

/** One state took the place of another; `previous` is undefined for the first. */
export type AppliedChange = { readonly previous: SecretState | undefined; readonly current: SecretState };

/** What one message did. */
export type Received =
  | { readonly type: "pending" }
  | { readonly type: "synced"; readonly changes: readonly AppliedChange[] }
  | { readonly type: "progress" };

type Pending = {
  /** Starts from nothing: a begin, or a reset of the history. */
  rebuilt: boolean;
  records: Map<bigint, SlotRecord>;
  absent: AbsentReasonName | undefined;
  /** Largest revision among the events applied. */
  revision: bigint;
  touched: boolean;
};

/** Where a watch can be taken up again, and everything that was applied up to there. */
export type ReplicaSnapshot = {
  readonly epoch: string;
  readonly revision: bigint;
  readonly resumeToken: string;
  readonly states: ReadonlyMap<string, SecretState>;
};

const PENDING: Received = { type: "pending" };
const PROGRESS: Received = { type: "progress" };

/**
 * The WatchSlots state machine of clients/README.md, section 4: collects what a stream says and applies it as one
 * step at `synced`. Nothing older ever replaces newer within an epoch (W14), unless the server said that the
 * history was cut.
 */
export class Replica {
  readonly #names: ReadonlySet<string>;
  readonly #states = new Map<string, SecretState>();
  readonly #pending = new Map<string, Pending>();
  #epoch = "";
  /** The revision that nothing may fall below; undefined when there is no order yet, or no longer. */
  #revision: bigint | undefined;
  #resumeToken = "";
  /** Set by a reset until its `synced`: every name starts from nothing. */
  #reset = false;
  /** The epoch that the pending events are of. */
  #pendingEpoch: string | undefined;

  constructor(names: Iterable<string>, from?: ReplicaSnapshot) {
    this.#names = new Set(names);
    if (from === undefined) return;
    for (const [name, state] of from.states) if (this.#names.has(name)) this.#states.set(name, state);
    this.#epoch = from.epoch;
    this.#revision = from.revision;
    this.#resumeToken = from.resumeToken;
  }

  get resumeToken(): string {
    return this.#resumeToken;
  }

  state(name: string): SecretState | undefined {
    return this.#states.get(name);
  }

  snapshot(): ReplicaSnapshot {
    return {
      epoch: this.#epoch,
      revision: this.#revision ?? 0n,
      resumeToken: this.#resumeToken,
      states: new Map(this.#states),
    };
  }

  forgetToken(): void {
    this.#resumeToken = "";
  }

  /** What was pending dies with its stream. */
  streamOpened(): void {
    this.#pending.clear();
    this.#reset = false;
    this.#pendingEpoch = undefined;
  }

  /** Takes one message. Throws a SlotsError when the stream must not be trusted further. */
  receive(message: WatchSlotsResponse): Received {
    const { epoch, revision, event } = message;
    const known = this.#pendingEpoch ?? (this.#revision === undefined ? epoch : this.#epoch);
    if (event.case === "historyReset" || epoch !== known) this.#forget();
    this.#pendingEpoch = epoch;
    switch (event.case) {
      case "begin":
        this.#begin(event.value.name);
        return PENDING;
      case "slot":
        this.#put(event.value.name, {
          slot: event.value.slot ?? 0n,
          commit: revision,
          createTime: event.value.createTime,
          value: receivedValue(event.value),
        });
        return PENDING;
      case "failed":
        this.#put(event.value.name, this.#failed(event.value.name, event.value.slot ?? 0n, revision));
        return PENDING;
      case "removed":
        this.#remove(event.value.name, event.value.slot ?? 0n, revision);
        return PENDING;
      case "absent":
        this.#absent(event.value.name, absentReasonName(event.value.reason), revision);
        return PENDING;
      case "synced":
        return this.#synced(message);
      case "progress":
        this.#holdOrder(revision);
        // A token taken now would skip what is still pending.
        if (this.#reset || this.#pending.size > 0) return PENDING;
        this.#revision = revision;
        this.#epoch = epoch;
        this.#resumeToken = message.resumeToken;
        return PROGRESS;
      default:
        return PENDING;
    }
  }

  /** The server's history is another: order and token are worth nothing; what is applied stays readable. */
  #forget(): void {
    this.#pending.clear();
    this.#reset = true;
    this.#revision = undefined;
    this.#resumeToken = "";
  }

  #begin(name: string): void {
    if (!this.#names.has(name)) return;
    this.#pending.set(name, {
      rebuilt: true,
      records: new Map(),
      absent: undefined,
      revision: 0n,
      touched: true,
    });
  }

  #of(name: string): Pending | undefined {
    if (!this.#names.has(name)) return undefined;
    let pending = this.#pending.get(name);
    if (pending === undefined) {
      const applied = this.#reset ? undefined : this.#states.get(name);
      pending = {
        rebuilt: applied === undefined,
        records: new Map(applied?.records.map((record) => [record.slot, record])),
        absent: applied?.absent,
        revision: 0n,
        touched: false,
      };
      this.#pending.set(name, pending);
    }
    return pending;
  }

  #put(name: string, record: SlotRecord): void {
    const pending = this.#of(name);
    if (pending === undefined || this.#isOlder(pending, record.slot, record.commit)) return;
    pending.records.set(record.slot, record);
    pending.absent = undefined;
    touch(pending, record.commit);
  }

  #remove(name: string, slot: bigint, revision: bigint): void {
    const pending = this.#of(name);
    if (pending === undefined || this.#isOlder(pending, slot, revision)) return;
    pending.records.delete(slot);
    touch(pending, revision);
  }

  #absent(name: string, reason: AbsentReasonName, revision: bigint): void {
    const pending = this.#of(name);
    if (pending === undefined) return;
    pending.records.clear();
    pending.absent = reason;
    touch(pending, revision);
  }

  #isOlder(pending: Pending, slot: bigint, revision: bigint): boolean {
    if (pending.rebuilt) return false;
    const known = pending.records.get(slot);
    return known !== undefined && revision < known.commit;
  }

  /** The record was damaged later than it was read: the value of the same commit is still the right one. */
  #failed(name: string, slot: bigint, commit: bigint): SlotRecord {
    const applied = this.#states.get(name);
    if (applied?.epoch === this.#pendingEpoch) {
      const known = applied?.records.find((record) => record.slot === slot);
      if (known?.commit === commit && known.value !== undefined) return known;
    }
    return { slot, commit, createTime: undefined, value: undefined };
  }

  #holdOrder(revision: bigint): void {
    if (this.#revision === undefined || revision >= this.#revision) return;
    this.#resumeToken = "";
    throw new SlotsError("UNAVAILABLE", "the server is behind what it said before, in the same history", {
      reason: "REVISION_WENT_BACK",
    });
  }

  #synced({ epoch, revision, resumeToken }: WatchSlotsResponse): Received {
    this.#holdOrder(revision);
    if (this.#reset) for (const name of this.#names) this.#resetSilent(name);
    const changes: AppliedChange[] = [];
    for (const [name, pending] of this.#pending) {
      const previous = this.#states.get(name);
      const current = pending.touched ? sealed(name, pending, previous, epoch, revision) : previous;
      if (current === undefined || current === previous) continue;
      changes.push({ previous, current });
      this.#states.set(name, current);
    }
    this.#pending.clear();
    this.#reset = false;
    this.#epoch = epoch;
    this.#revision = revision;
    this.#resumeToken = resumeToken;
    return { type: "synced", changes };
  }

  #resetSilent(name: string): void {
    if (!this.#pending.has(name)) this.#begin(name);
  }
}

function touch(pending: Pending, revision: bigint): void {
  pending.touched = true;
  if (revision > pending.revision) pending.revision = revision;
}

function sealed(
  name: string,
  pending: Pending,
  previous: SecretState | undefined,
  epoch: string,
  syncedRevision: bigint,
): SecretState {
  const records = ascending([...pending.records.values()]);
  const empty = pending.rebuilt ? "NOT_EXISTING" : "NO_ENABLED_SLOT";
  const absent = records.length > 0 ? undefined : (pending.absent ?? empty);
  let { revision } = pending;
  if (previous?.epoch === epoch) {
    if (pending.rebuilt && sameContent(previous, records, absent)) return previous;
    if (revision <= previous.revision) revision = syncedRevision;
  }
  return new SecretState({ name, epoch, revision, absent, records });
}

/** Sorts only what is out of order: a rotation adds at the end. */
function ascending(records: SlotRecord[]): SlotRecord[] {
  for (let i = 1; i < records.length; i++) {
    if (records[i - 1]!.slot > records[i]!.slot) return records.sort((a, b) => (a.slot < b.slot ? -1 : 1));
  }
  return records;
}

function sameContent(
  state: SecretState,
  records: readonly SlotRecord[],
  absent: AbsentReasonName | undefined,
): boolean {
  if (state.absent !== absent || state.records.length !== records.length) return false;
  return state.records.every((a, i) => {
    const b = records[i]!;
    return a.slot === b.slot && a.commit === b.commit && (a.value === undefined) === (b.value === undefined);
  });
}
