import type { Policy } from "../../domain/access.ts";
import type { Revision } from "../../domain/numbers.ts";
import type { MasterKeyRecord, StoreKeyRecord } from "../../domain/sealed-record.ts";
import { current } from "../../domain/slots.ts";
import type {
  AuditAnchor,
  ChangeRecord,
  Head,
  RequestRecord,
  SecretMeta,
  SlotRow,
  TokenRecord,
} from "../records.ts";

/** A secret and its slots in rising order. Replaced whole by every change, never written to. */
export interface StoredSecret {
  readonly meta: SecretMeta;
  readonly slots: readonly SlotRow[];
}

export interface Tombstone {
  readonly revision: Revision;
  readonly time: number;
}

/** The whole store as plain collections. Every row in them is immutable. */
export interface MemoryState {
  head: Head;
  floor: Revision;
  policies: readonly Policy[];
  readonly secrets: Map<string, StoredSecret>;
  readonly tombstones: Map<string, Tombstone>;
  readonly changes: ChangeRecord[];
  readonly requests: Map<string, RequestRecord>;
  readonly tokens: Map<string, TokenRecord>;
  readonly masterKeys: Map<string, MasterKeyRecord>;
  readonly storeKeys: Map<string, StoreKeyRecord>;
  readonly anchors: Map<string, AuditAnchor>;
}

export function emptyState(epoch: string): MemoryState {
  return {
    head: { epoch, revision: 0n as Revision, accessRevision: 0n as Revision },
    floor: 0n as Revision,
    policies: [],
    secrets: new Map(),
    tombstones: new Map(),
    changes: [],
    requests: new Map(),
    tokens: new Map(),
    masterKeys: new Map(),
    storeKeys: new Map(),
    anchors: new Map(),
  };
}

export function requestKey(principal: string, rpc: string, requestId: string): string {
  return JSON.stringify([principal, rpc, requestId]);
}

export function slotOf(secret: StoredSecret | undefined, slot: bigint): SlotRow | undefined {
  return secret?.slots.find((row) => row.slot === slot);
}

/** The secret with one slot added or replaced by `row`, its counts and its current slot worked out anew. */
export function withSlot(
  before: StoredSecret | undefined,
  base: Pick<SecretMeta, "name" | "comment" | "labels" | "createTime" | "bornRevision">,
  row: SlotRow,
): StoredSecret {
  const slots = [...(before?.slots ?? []).filter((other) => other.slot !== row.slot), row].sort((a, b) =>
    a.slot < b.slot ? -1 : 1,
  );
  const now = current(slots);
  const was = before === undefined ? undefined : current(before.slots);
  const count = (state: SlotRow["state"]) => slots.filter((slot) => slot.state === state).length;
  // Whether the same version is current, not whether the same number is: an overwrite is a new state (W11).
  const sameState = before !== undefined && sameVersion(was, now);
  return {
    slots,
    meta: {
      ...base,
      updateTime: row.updateTime,
      revision: row.revision,
      stateRevision: sameState ? before.meta.stateRevision : row.revision,
      slotCount: slots.length,
      enabledCount: count("enabled"),
      disabledCount: count("disabled"),
      destroyedCount: count("destroyed"),
      currentSlot: now?.slot,
      lastSlot: slots[slots.length - 1]!.slot,
    },
  };
}

function sameVersion(a: SlotRow | undefined, b: SlotRow | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.slot === b.slot && Buffer.compare(a.versionId, b.versionId) === 0;
}
