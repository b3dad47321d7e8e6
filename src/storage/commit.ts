import type { Policy } from "../domain/access.ts";
import type { Labels } from "../domain/metadata.ts";
import type { SecretName } from "../domain/names.ts";
import type { Revision, SlotNumber } from "../domain/numbers.ts";
import type { MasterKeyRecord, SealedRecord } from "../domain/sealed-record.ts";
import type { Head, SecretMeta, SlotMeta, TokenRecord } from "./records.ts";

/** One change to make, with what must hold for it, who asks and why. */
export interface Commit {
  /** 16 random bytes. */
  readonly commitId: Uint8Array;
  /** The server's clock, Unix milliseconds. */
  readonly time: number;
  readonly principal: string;
  readonly rpc: string;
  /** Kept with the change, so that a retry answers as the first time. */
  readonly request?: RequestKey;
  readonly mutation: Mutation;
}

export interface RequestKey {
  readonly id: string;
  /** A keyed digest of the request's content. */
  readonly digest: Uint8Array;
  /** Until when it is kept, Unix milliseconds. */
  readonly expireTime: number;
}

export type Mutation =
  | PutSlotMutation
  | SetSlotStateMutation
  | UpdateSecretMutation
  | DeleteSecretMutation
  | KeepRequestMutation
  | { readonly kind: "create-token"; readonly token: TokenRecord }
  | { readonly kind: "revoke-token"; readonly tokenId: string }
  | {
      readonly kind: "replace-policies";
      readonly policies: readonly Policy[];
      /** The access revision that the caller decided on; another one today is `access-moved`. */
      readonly expectedAccessRevision?: Revision;
    }
  | { readonly kind: "set-primary-key"; readonly key: MasterKeyRecord }
  /** Refused `key-in-use` while it wraps anything, and always for the primary. */
  | { readonly kind: "retire-master-key"; readonly keyId: string };

/** Writes one version of a slot; creates the secret at its first. */
export interface PutSlotMutation {
  readonly kind: "put-slot";
  readonly name: SecretName;
  readonly slot: SlotNumber;
  readonly state: "enabled" | "disabled";
  readonly versionId: Uint8Array;
  readonly record: SealedRecord;
  readonly size: number;
  /**
   * The version that is replaced; undefined when the number must not be known yet. Else `slot-moved`, which comes
   * before every other refusal: who saw another slot than there is must decide anew.
   */
  readonly replaces: Uint8Array | undefined;
  /** The secret's revision must be this; 0 = no such secret. Else `revision-mismatch`. */
  readonly expectedRevision?: Revision;
  /** The number must be one past the largest ever used, 0 for the first. Else `slot-moved`. */
  readonly mustBeNext?: boolean;
  readonly maxSlots: number;
}

/** Already so is `unchanged`, before the expected revision is looked at. */
export interface SetSlotStateMutation {
  readonly kind: "set-slot-state";
  readonly name: SecretName;
  readonly slot: SlotNumber;
  readonly state: "enabled" | "disabled" | "destroyed";
  readonly expectedRevision?: Revision;
}

/** What is left out stays; what is the same already is `unchanged`, after the expected revision was looked at. */
export interface UpdateSecretMutation {
  readonly kind: "update-secret";
  readonly name: SecretName;
  readonly comment?: string;
  readonly labels?: Labels;
  readonly expectedRevision?: Revision;
}

export interface DeleteSecretMutation {
  readonly kind: "delete-secret";
  readonly name: SecretName;
  readonly expectedRevision?: Revision;
}

/** Keeps the answer of a request that changed nothing. Makes no revision. */
export interface KeepRequestMutation {
  readonly kind: "keep-request";
  readonly result: CommitResult;
}

/** What the caller is told; kept for a repeated request as it was the first time. */
export interface CommitResult {
  readonly epoch: string;
  /** The revision to answer with: of this commit, or of what it found already so. */
  readonly revision: Revision;
  readonly secret?: SecretMeta;
  readonly slot?: SlotMeta;
  /** True when a put made a number known that was not. */
  readonly created?: boolean;
  /** The token that was created or revoked, as it is now. */
  readonly token?: TokenRecord;
}

export type CommitOutcome =
  | { readonly kind: "committed"; readonly head: Head; readonly result: CommitResult }
  | { readonly kind: "unchanged"; readonly result: CommitResult }
  | { readonly kind: "replayed"; readonly result: CommitResult }
  | { readonly kind: "rejected"; readonly rejection: Rejection };

export type Rejection =
  /** The slot is not as the caller saw it: read again. */
  | { readonly kind: "slot-moved" }
  /** The record is wrapped by a master key that the store does not know, or not any more: seal anew. */
  | { readonly kind: "key-moved" }
  /** The secret's revision of today (0: no such secret). */
  | { readonly kind: "revision-mismatch"; readonly revision: Revision }
  | { readonly kind: "secret-not-found" }
  | { readonly kind: "slot-not-found" }
  | { readonly kind: "slot-destroyed" }
  | { readonly kind: "too-many-slots" }
  | { readonly kind: "request-id-reused" }
  | { readonly kind: "token-not-found" }
  | { readonly kind: "access-moved" }
  | { readonly kind: "key-not-found" }
  | { readonly kind: "key-in-use"; readonly count: bigint };
