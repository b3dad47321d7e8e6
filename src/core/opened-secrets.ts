import type { Keyring } from "../crypto/keyring.ts";
import { SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import { NO_REVISION, type Revision, type SlotNumber } from "../domain/numbers.ts";
import type { SecretValue } from "../domain/secret-value.ts";
import type { Head, SecretMeta, SlotRead, SlotRow } from "../storage/records.ts";
import type { Storage } from "../storage/storage.ts";
import { AskedBefore } from "./asked-before.ts";
import { EvictedValues } from "./evicted-values.ts";

/** What GetSecret and the watches say of a name, at one revision. */
export interface SecretState {
  readonly name: SecretName;
  readonly secret: SecretMeta | undefined;
  /** The current slot, when there is one. */
  readonly slot: SlotRow | undefined;
  /** The commit that made this state so; 0 when the name never existed. */
  readonly revision: Revision;
  /** The last deletion of the name that is kept; 0 when none is. */
  readonly deletedRevision: Revision;
  /** Changes up to this revision are no longer kept. */
  readonly floor: Revision;
}

/** A state, and where the store stood when it was so. */
export interface CurrentState {
  readonly head: Head;
  readonly state: SecretState;
}

export interface OpenedSecretsOptions {
  readonly storage: Storage;
  readonly keyring: Keyring;
  /** Bytes of opened values and records to keep; 0 keeps none. */
  readonly maxBytes: number;
}

/** The enabled slots of a secret, in rising order, without their records. */
interface LiveSlots {
  readonly secret: SecretMeta | undefined;
  readonly slots: readonly SlotRow[] | "too many";
}

export interface EffectiveSlot {
  readonly head: Head;
  readonly secret: SecretMeta | undefined;
  readonly slot: SlotRow | undefined;
}

interface Entry {
  state: SecretState | undefined;
  live: LiveSlots | undefined;
  readonly values: Map<string, SecretValue>;
  bytes: number;
  /** Which move to the young end was its own. */
  moved: number;
}

/** What each costs in memory beside its bytes, as measured: objects, numbers, and what the allocator adds. */
const STATE_BYTES = 2048;
const VALUE_BYTES = 1024;
const LIVE_BYTES = 768;
const LIVE_SLOT_BYTES = 384;
const MOST_LIVE_KEPT = 256;
/** With less left than most secrets take, there is no room. */
const ROOM_BYTES = 4096;
const CHANGES_A_PAGE = 1000;
/** Past this many changes it is cheaper to forget everything than to forget name by name. */
const MOST_CHANGES_APPLIED = 20_000;

export type ChangedNames = ReadonlySet<string> | "all";

/**
 * States and opened values, kept until the change that ends them or until others need the room; then the values are
 * overwritten. Once there is no room, only what is asked for a second time gets some: whoever goes through a million
 * names neither pushes out what many ask for, nor leaves all that behind for the collector.
 *
 * Safe across processes (W10): `sync` asks the store where it stands, in the very call that uses what is kept,
 * and first forgets every name that changed since; so nothing is answered that is older than the store was when
 * the call began.
 */
export class OpenedSecrets {
  readonly #storage: Storage;
  readonly #keyring: Keyring;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry>();
  readonly #evicted = new EvictedValues();
  readonly #asked = new AskedBefore();
  /** What `current` gave last: the streams of a fan-out ask for the same, one after the other. */
  #latest: CurrentState | undefined;
  #bytes = 0;
  #moves = 0;
  #epoch: string;
  #applied: Revision;
  #accessRevision: Revision;
  #commitIds = new Map<Revision, Uint8Array>();
  #listener: (names: ChangedNames) => void = () => {};

  constructor(options: OpenedSecretsOptions) {
    this.#storage = options.storage;
    this.#keyring = options.keyring;
    this.#maxBytes = options.maxBytes;
    const head = options.storage.head();
    this.#epoch = head.epoch;
    this.#applied = head.revision;
    this.#accessRevision = head.accessRevision;
  }

  /** Calls `listener` with the names that a `sync` found changed; "all" when rights changed or too much did. */
  onChanged(listener: (names: ChangedNames) => void): void {
    this.#listener = listener;
  }

  /** Where the store stands now; what is kept is true of it afterwards. */
  sync(): Head {
    const head = this.#storage.head();
    if (head.revision !== this.#applied || head.epoch !== this.#epoch) this.#apply(head);
    return head;
  }

  /**
   * The same for who has nobody to tell of a failure: undefined then. What can't be read is told to each call and stream by
   * its own look, and ends no process (S6).
   */
  trySync(): Head | undefined {
    try {
      return this.sync();
    } catch {
      return undefined;
    }
  }

  /** The state at `head`, which `sync` gave in this call, or at a later one. */
  current(name: SecretName, known = this.sync()): CurrentState {
    const latest = this.#latest;
    if (latest?.head === known && latest.state.name === name) return latest;
    const head = this.#asKept(known);
    const entry = this.#touch(name);
    if (entry?.state !== undefined) {
      this.#latest = { head, state: entry.state };
      return this.#latest;
    }
    return this.#readCurrent(name);
  }

  /** Apart from the way without a read, which would make room for this one's closure each time. */
  #readCurrent(name: SecretName): CurrentState {
    const read = this.#storage.readCurrent(name);
    const state = stateOf(name, read);
    // Only secrets that exist are kept: names that do not are without number.
    if (state.secret !== undefined && this.#isKept(read.head))
      this.#keep(name, name, (kept) => this.#keepState(kept, state));
    return { head: read.head, state };
  }

  /**
   * The enabled slot with the largest number at or below `at`, as of `head` or later. Of a secret with few live
   * slots their numbers are kept, so that answering for another `at` costs a search and no read.
   */
  effectiveAt(name: SecretName, at: SlotNumber, known = this.sync()): EffectiveSlot {
    const head = this.#asKept(known);
    const kept = this.#touch(name)?.live;
    const { live, asOf } = kept === undefined ? this.#readLive(name) : { live: kept, asOf: head };
    if (live.slots === "too many") return this.#storage.readEffectiveAt(name, at);
    const slot = lastAtOrBelow(live.slots, at);
    // A record that is not opened yet is read together with the decision for it: read after it, it could be gone.
    if (slot !== undefined && this.#opened(name, slot) === undefined)
      return this.#storage.readEffectiveAt(name, at);
    return { head: asOf, secret: live.secret, slot };
  }

  /**
   * Opens a slot's record; throws RECORD_DAMAGED when it does not open. The value may be used in this turn of the
   * event loop; who waits meanwhile holds it.
   */
  open(name: SecretName, row: SlotRow): SecretValue {
    const known = this.#opened(name, row);
    if (known !== undefined) return known;
    const { slot, versionId, record } = row;
    if (record === undefined) {
      throw new SlotsError("RECORD_DAMAGED", `the record of slot ${slot} of '${name}' is missing`, {
        metadata: { name, slot: String(slot) },
      });
    }
    const { storeId } = this.#storage.identity;
    const value = this.#keyring.open({ storeId, name, slot, versionId }, record);
    const version = keyOf(versionId);
    const kept = this.#keep(name, version, (entry) => {
      entry.values.set(version, value);
      // Twice: opened, and encoded as it is answered.
      return 2 * value.size + VALUE_BYTES;
    });
    if (!kept) this.#evicted.add([value]);
    return value;
  }

  /** The random id of the commit that made this revision, as it may be remembered after that is pruned: for new tokens. */
  commitIdAt(revision: Revision): Uint8Array | undefined {
    const known = this.#commitIds.get(revision);
    if (known !== undefined) return known;
    const id = this.keptCommitIdAt(revision);
    if (id !== undefined) {
      if (this.#commitIds.size >= 1000) this.#commitIds.clear();
      this.#commitIds.set(revision, id);
    }
    return id;
  }

  /**
   * The same as the log has it now, which says whether a token is of the kept log (W8): undefined once it is pruned. A
   * damaged change must cost nobody a value (D3): whoever resumes from it begins anew, as from one that is pruned.
   */
  keptCommitIdAt(revision: Revision): Uint8Array | undefined {
    try {
      return this.#storage.changeAt(revision)?.commitId;
    } catch (error) {
      if (error instanceof SlotsError && error.reason === "RECORD_DAMAGED") return undefined;
      throw error;
    }
  }

  /** `known`, unless somebody looked since: then what is kept is of that later moment. */
  #asKept(known: Head): Head {
    return this.#isKept(known) ? known : this.sync();
  }

  /**
   * Whether it is the moment of which everything kept is true. What another process wrote after it was read along, but
   * must not be kept: it would be given out with this older head, told a second time, and by the rights of before (W4, W12).
   */
  #isKept(head: Head): boolean {
    return head.revision === this.#applied && head.epoch === this.#epoch;
  }

  #readLive(name: SecretName): { readonly live: LiveSlots; readonly asOf: Head } {
    const page = this.#storage.listSlots(name, {
      state: "enabled",
      limit: MOST_LIVE_KEPT + 1,
      withRecords: false,
    });
    const live: LiveSlots = {
      secret: page.secret,
      slots: page.slots.length > MOST_LIVE_KEPT ? "too many" : page.slots,
    };
    if (page.secret !== undefined && this.#isKept(page.head)) {
      this.#keep(name, name, (entry) => {
        entry.live = live;
        return LIVE_BYTES + LIVE_SLOT_BYTES * page.slots.length;
      });
    }
    return { live, asOf: page.head };
  }

  #opened(name: SecretName, { versionId }: SlotRow): SecretValue | undefined {
    return this.#entries.get(name)?.values.get(keyOf(versionId));
  }

  #apply(head: Head): void {
    const changed = head.epoch === this.#epoch ? this.#changedSince(this.#applied) : "all";
    if (changed === "all") {
      this.#followPrimaryKey();
      for (const { values } of this.#entries.values()) this.#evicted.add(values.values());
      this.#entries.clear();
      this.#bytes = 0;
    } else {
      for (const name of changed) this.#forget(name);
    }
    this.#latest = undefined;
    if (head.epoch !== this.#epoch) this.#commitIds.clear();
    const rightsMoved = head.accessRevision !== this.#accessRevision;
    this.#epoch = head.epoch;
    this.#applied = head.revision;
    this.#accessRevision = head.accessRevision;
    this.#listener(rightsMoved ? "all" : changed);
  }

  /** What is sealed from now on is wrapped by the key that another process made the primary, if it is loaded here. */
  #followPrimaryKey(): void {
    const primary = this.#storage.masterKeys().find((key) => key.primary);
    if (primary !== undefined && this.#keyring.has(primary.keyId)) this.#keyring.setPrimary(primary.keyId);
  }

  /** A change that can't be read names nobody: then nothing that is kept may be used, and all of it is read anew (W10, D3). */
  #changedSince(revision: Revision): ChangedNames {
    try {
      return this.#namesChangedSince(revision);
    } catch {
      return "all";
    }
  }

  #namesChangedSince(revision: Revision): ChangedNames {
    const names = new Set<string>();
    let after = revision;
    for (let seen = 0; seen < MOST_CHANGES_APPLIED; ) {
      const page = this.#storage.changesAfter(after, CHANGES_A_PAGE);
      if (page.floor > after) return "all";
      for (const change of page.changes) {
        if (change.name !== undefined) names.add(change.name);
        else if (change.kind === "primary-key-set") this.#followPrimaryKey();
      }
      const last = page.changes.at(-1);
      if (last === undefined || page.changes.length < CHANGES_A_PAGE) return names;
      after = last.revision;
      seen += page.changes.length;
    }
    return "all";
  }

  #keepState(entry: Entry, state: SecretState): number {
    entry.state = state;
    return STATE_BYTES + (state.slot?.record?.ciphertext.length ?? 0);
  }

  /**
   * Moves what is asked for to the young end, unless it is in the youngest quarter already: each move leaves a hole, and a
   * map with holes is copied whole every so often, which the collector pays for.
   */
  #touch(name: string): Entry | undefined {
    const entry = this.#entries.get(name);
    if (entry !== undefined && this.#moves - entry.moved > this.#entries.size >> 2) {
      this.#entries.delete(name);
      this.#entries.set(name, entry);
      entry.moved = ++this.#moves;
    }
    return entry;
  }

  /** `asked`: what of the secret was asked for. False when it was not kept. */
  #keep(name: string, asked: string, add: (entry: Entry) => number): boolean {
    if (this.#maxBytes === 0) return false;
    let entry = this.#touch(name);
    if (entry === undefined) {
      if (this.#bytes + ROOM_BYTES > this.#maxBytes && !this.#asked.check(asked)) return false;
      entry = { state: undefined, live: undefined, values: new Map(), bytes: 0, moved: ++this.#moves };
      this.#entries.set(name, entry);
    }
    const added = add(entry);
    entry.bytes += added;
    this.#bytes += added;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#forget(oldest);
    }
    return true;
  }

  #forget(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#latest = undefined;
    this.#evicted.add(entry.values.values());
    this.#bytes -= entry.bytes;
  }
}

function keyOf(versionId: Uint8Array): string {
  return Buffer.from(versionId).toString("latin1");
}

function lastAtOrBelow(slots: readonly SlotRow[], at: SlotNumber): SlotRow | undefined {
  let [low, high] = [0, slots.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((slots[middle]?.slot ?? at) <= at) low = middle + 1;
    else high = middle;
  }
  return slots[low - 1];
}

function stateOf(name: SecretName, read: SlotRead): SecretState {
  const { secret, slot, deletedRevision, floor } = read;
  const revision = secret?.stateRevision ?? deletedRevision ?? NO_REVISION;
  return { name, secret, slot, revision, deletedRevision, floor };
}
