import type { Policy } from "../domain/access.ts";
import type { Labels } from "../domain/metadata.ts";
import type { SecretName } from "../domain/names.ts";
import type { Revision, SlotNumber } from "../domain/numbers.ts";
import type { SealedRecord } from "../domain/sealed-record.ts";
import type { SlotState } from "../domain/slots.ts";
import type { CommitResult } from "./commit.ts";

/** Who the store is: survives a restore. */
export interface StoreIdentity {
  /** 32 lower-case hex digits. */
  readonly storeId: string;
  readonly schemaVersion: number;
}

/** Where the store stands. */
export interface Head {
  /** 32 lower-case hex digits, new when the store is created or restored. */
  readonly epoch: string;
  readonly revision: Revision;
  /** The last revision that changed tokens or policies: a decision made at it holds until it moves (W12). */
  readonly accessRevision: Revision;
}

/** A secret without its slots. Times are Unix milliseconds. */
export interface SecretMeta {
  readonly name: SecretName;
  readonly comment: string;
  readonly labels: Labels;
  readonly createTime: number;
  readonly updateTime: number;
  /** The last change of the secret. */
  readonly revision: Revision;
  /** The commit that made today's current slot, or its absence, so. Moves only when the current version does (W11). */
  readonly stateRevision: Revision;
  /** The commit that created this secret: a name deleted and created again is another secret. */
  readonly bornRevision: Revision;
  readonly slotCount: number;
  readonly enabledCount: number;
  readonly disabledCount: number;
  readonly destroyedCount: number;
  readonly currentSlot: SlotNumber | undefined;
  /** The largest number ever used, whatever its state. */
  readonly lastSlot: SlotNumber;
}

/** A slot without its record. */
export interface SlotMeta {
  readonly slot: SlotNumber;
  readonly state: SlotState;
  /** When this version of the slot was written. */
  readonly createTime: number;
  readonly updateTime: number;
  /** The commit that last changed the slot. */
  readonly revision: Revision;
  /** The commit that wrote this version of the slot. */
  readonly valueRevision: Revision;
  /** 16 random bytes, new for each version. */
  readonly versionId: Uint8Array;
  /** Bytes of the value; 0 once destroyed. */
  readonly size: number;
}

/** A slot with its record; a destroyed one has none. */
export interface SlotRow extends SlotMeta {
  readonly record: SealedRecord | undefined;
}

export interface SecretRead {
  readonly head: Head;
  readonly secret: SecretMeta | undefined;
  /** The last deletion of a secret of this name that is still kept; 0 when there is none. */
  readonly deletedRevision: Revision;
  /** Change records up to and including this one were pruned; 0 when none was. */
  readonly floor: Revision;
}

export interface SlotRead extends SecretRead {
  readonly slot: SlotRow | undefined;
}

export interface SecretPage {
  readonly head: Head;
  readonly secrets: readonly SecretMeta[];
}

export interface SlotQuery {
  /** Only numbers above this one. */
  readonly after?: SlotNumber;
  readonly limit: number;
  /** Only slots in this state. */
  readonly state?: SlotState;
  /** Only slots whose last change is above this revision, in order of that revision; `after` must not be given. */
  readonly changedAfter?: Revision;
  /** Whether rows carry their records. */
  readonly withRecords: boolean;
}

export interface SlotPage extends SecretRead {
  readonly slots: readonly SlotRow[];
}

export const CHANGE_KINDS = [
  "slot-put",
  "slot-enabled",
  "slot-disabled",
  "slot-destroyed",
  "secret-updated",
  "secret-deleted",
  "token-created",
  "token-revoked",
  "policies-replaced",
  "primary-key-set",
  "master-key-retired",
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** One committed change: what, when, and by whom; never a value. */
export interface ChangeRecord {
  readonly revision: Revision;
  /** 16 random bytes: tells a history from a fork of it at the same revision. */
  readonly commitId: Uint8Array;
  readonly time: number;
  readonly kind: ChangeKind;
  /** The secret's name, where the change is of one. */
  readonly name: SecretName | undefined;
  readonly slot: SlotNumber | undefined;
  /** What else was changed: a token's public id, a master key's id, names of policies. */
  readonly subject: string | undefined;
  readonly principal: string;
  readonly rpc: string;
  readonly requestId: string | undefined;
}

export interface ChangePage {
  readonly head: Head;
  readonly changes: readonly ChangeRecord[];
  /** Revisions up to and including this one were pruned; 0 when none was. */
  readonly floor: Revision;
}

export interface RequestRecord {
  readonly digest: Uint8Array;
  readonly result: CommitResult;
  readonly expireTime: number;
}

export interface TokenRecord {
  /** The public id. */
  readonly tokenId: string;
  /** SHA-256 of the token (S5). */
  readonly hash: Uint8Array;
  readonly principal: string;
  readonly groups: readonly string[];
  readonly comment: string;
  readonly createTime: number;
  readonly expireTime: number | undefined;
  readonly revokeTime: number | undefined;
}

export interface AccessRead {
  readonly head: Head;
  readonly policies: readonly Policy[];
}

export interface TokenRead {
  readonly head: Head;
  readonly token: TokenRecord | undefined;
}

export interface TokenPage {
  readonly head: Head;
  /** In order of create time, then id; `after` is the id of the last one seen. */
  readonly tokens: readonly TokenRecord[];
}

/** A wrapped key and the place it belongs to. */
export interface WrappedRow {
  readonly name: SecretName;
  readonly slot: SlotNumber;
  readonly versionId: Uint8Array;
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
}

export interface WrappedPage {
  readonly rows: readonly WrappedRow[];
  /** Give it back for the next page; undefined at the end. */
  readonly next: string | undefined;
}

export interface RewrapItem {
  readonly versionId: Uint8Array;
  readonly name: SecretName;
  readonly slot: SlotNumber;
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
}

/** How far one audit chain had come. */
export interface AuditAnchor {
  /** One chain per server process. */
  readonly chain: string;
  readonly records: bigint;
  /** The chain's head: an HMAC. */
  readonly head: Uint8Array;
  /** The store's revision up to which changes are known to be in the log. */
  readonly revision: Revision;
  readonly time: number;
  /** Set once the chain was closed in order. */
  readonly closed: boolean;
}
