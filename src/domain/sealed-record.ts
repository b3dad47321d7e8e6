import type { SecretName } from "./names.ts";
import type { SlotNumber } from "./numbers.ts";

/** A value as it is stored: sealed by its own data key, which is wrapped by a master key. */
export interface SealedRecord {
  /** The public id of the master key that wraps the data key. */
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** Where a sealed record belongs. It opens nowhere else (S2). */
export interface SealedPlace {
  readonly storeId: string;
  readonly name: SecretName;
  readonly slot: SlotNumber;
  /** 128 random bits, chosen anew for each version of a slot. */
  readonly versionId: Uint8Array;
}

/** A key of the store itself (for the audit chain, for digests), wrapped by a master key. */
export interface StoreKeyRecord {
  readonly purpose: StoreKeyPurpose;
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
}

export const STORE_KEY_PURPOSES = ["audit", "request-digest"] as const;
export type StoreKeyPurpose = (typeof STORE_KEY_PURPOSES)[number];

/** Lets a wrong master key be told at start, before anything is served. */
export interface MasterKeyRecord {
  readonly keyId: string;
  readonly primary: boolean;
  /** A constant, sealed by the key. */
  readonly check: Uint8Array;
  /** Unix milliseconds. */
  readonly createTime: number;
}
