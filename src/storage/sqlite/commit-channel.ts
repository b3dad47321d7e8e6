import type { MasterKeyRecord, StoreKeyRecord } from "../../domain/sealed-record.ts";
import type { Commit, CommitOutcome } from "../commit.ts";
import type { AuditAnchor, RewrapItem } from "../records.ts";

/** Everything that writes, as data: the writer may be a thread of this process or live in another one. */
export interface Writes {
  readonly commit: { readonly input: Commit; readonly output: CommitOutcome };
  readonly rewrap: { readonly input: readonly RewrapItem[]; readonly output: number };
  readonly "put-store-keys": { readonly input: readonly StoreKeyRecord[]; readonly output: undefined };
  readonly "add-store-keys": { readonly input: readonly StoreKeyRecord[]; readonly output: undefined };
  readonly "add-master-keys": { readonly input: readonly MasterKeyRecord[]; readonly output: undefined };
  readonly "put-audit-anchors": { readonly input: readonly AuditAnchor[]; readonly output: undefined };
  /** Prunes a bounded part; answers whether there is more. */
  readonly prune: {
    readonly input: { readonly changesBefore: number; readonly now: number };
    readonly output: boolean;
  };
  readonly "new-epoch": { readonly input: undefined; readonly output: string };
}
export type WriteKind = keyof Writes;

export type WriteRequest = {
  readonly [K in WriteKind]: { readonly kind: K; readonly input: Writes[K]["input"] };
}[WriteKind];

/** Since the writer was started. */
export interface WriterStats {
  /** Writes that were executed, refused ones included. */
  readonly writes: number;
  /** Commits that made a revision. */
  readonly commits: number;
  /** Transactions that were flushed: one for each group. */
  readonly flushes: number;
  readonly largestGroup: number;
}

/**
 * The way to the one writer of a store. An answer means that the write is safe on disk, or was refused whole;
 * a rejection is a SlotsError. A failed flush is never answered (D5).
 */
export interface CommitChannel {
  write<K extends WriteKind>(kind: K, input: Writes[K]["input"]): Promise<Writes[K]["output"]>;
  /** Called after each batch of answers that held a commit, before its callers go on. */
  onCommitted(ring: () => void): void;
  stats(): WriterStats;
  /** Finishes what waits, then ends. */
  close(): Promise<void>;
}
