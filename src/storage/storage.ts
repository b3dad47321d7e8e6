import type { Policy } from "../domain/access.ts";
import type { SecretName } from "../domain/names.ts";
import type { Revision, SlotNumber } from "../domain/numbers.ts";
import type { MasterKeyRecord, StoreKeyRecord } from "../domain/sealed-record.ts";
import type { Commit, CommitOutcome } from "./commit.ts";
import type {
  AccessRead,
  AuditAnchor,
  ChangePage,
  ChangeRecord,
  Head,
  RequestRecord,
  RewrapItem,
  SecretPage,
  SecretRead,
  SlotPage,
  SlotQuery,
  SlotRead,
  StoreIdentity,
  TokenPage,
  TokenRead,
  WrappedPage,
} from "./records.ts";

/**
 * The port that every engine implements; `test/contracts/storage.ts` is its contract as a test suite.
 *
 * - Intentions go in as data, never as callbacks: a remote engine could not run our closures inside its
 *   transaction.
 * - Each read is one moment: everything in its answer, `head` included, is of one and the same revision.
 * - Reads are synchronous and never wait for a writer or a flush.
 * - The port never sees plaintext.
 */
export interface Storage {
  readonly identity: StoreIdentity;

  /** Where the store stands now, every process's commits included. Cheap enough to ask in every call. */
  head(): Head;

  /** The secret, and its enabled slot with the largest number, with its record. */
  readCurrent(name: SecretName): SlotRead;
  /** The secret, and its enabled slot with the largest number at or below `at`, with its record. */
  readEffectiveAt(name: SecretName, at: SlotNumber): SlotRead;
  /** The secret, and that slot whatever its state, with its record unless it is destroyed. */
  readSlot(name: SecretName, slot: SlotNumber): SlotRead;
  readSecret(name: SecretName): SecretRead;

  /** Secrets with `from <= name < until` in byte order, at most `limit`. One range scan. */
  listSecrets(range: { readonly from: string; readonly until?: string }, limit: number): SecretPage;
  /** Slots of one secret, at most `query.limit`: in order of number, or of revision with `query.changedAfter`. */
  listSlots(name: SecretName, query: SlotQuery): SlotPage;

  /** Changes with a revision above `revision`, oldest first, at most `limit`. `floor`: what is below it was pruned. */
  changesAfter(revision: Revision, limit: number): ChangePage;
  /** The change that made this revision, while it is kept. */
  changeAt(revision: Revision): ChangeRecord | undefined;

  findRequest(principal: string, rpc: string, requestId: string): RequestRecord | undefined;

  /** All policies, in byte order of their names. */
  readAccess(): AccessRead;
  findToken(hash: Uint8Array): TokenRead;
  listTokens(after: string | undefined, limit: number): TokenPage;
  readPolicies(): readonly Policy[];

  masterKeys(): readonly MasterKeyRecord[];
  storeKeys(): readonly StoreKeyRecord[];
  /**
   * Slot versions whose data key is wrapped by this key. There may be millions: it counts in bounded parts, and what
   * is written meanwhile may or may not be counted.
   */
  countWrappedBy(keyId: string): Promise<bigint>;
  /** Some of them, in a stable order, after the cursor of the page before. */
  listWrappedBy(keyId: string, after: string | undefined, limit: number): WrappedPage;

  /**
   * Commits one change. Resolves after the change is safe on disk (D1, W1) or was refused whole (D2).
   * Rejects with SlotsError STORE_BUSY, DISK_FULL or WRITE_QUEUE_FULL; a failed flush ends the process (D5).
   */
  commit(commit: Commit): Promise<CommitOutcome>;

  /**
   * Replaces wrapped keys, if their versions are still there and the store knows the master key. No revision: no
   * value and no state changes.
   */
  rewrap(items: readonly RewrapItem[]): Promise<number>;
  putStoreKeys(records: readonly StoreKeyRecord[]): Promise<void>;
  /** Adds keys for purposes that have none yet; what another process added stays. */
  addStoreKeys(records: readonly StoreKeyRecord[]): Promise<void>;
  /** Adds master keys that are not known yet. The first one of a store becomes its primary. */
  addMasterKeys(records: readonly MasterKeyRecord[]): Promise<void>;

  /** Keeps the heads of audit chains. No revision. */
  putAuditAnchors(anchors: readonly AuditAnchor[]): Promise<void>;
  auditAnchors(): readonly AuditAnchor[];

  /**
   * Forgets the oldest change records, up to the first that was not made before `changesBefore`, the tombstones of
   * what they deleted, and requests that ended by `now` (Unix ms). The newest change record is always kept: it says
   * which history the head belongs to.
   */
  prune(changesBefore: number, now: number): Promise<void>;
  /** Starts a new epoch: resume tokens and etags of the old one stop to count. */
  newEpoch(): Promise<string>;

  /** Calls `ring` soon after any commit of any process; may also ring for nothing. Returns how to stop. */
  onCommit(ring: () => void): () => void;

  /** A consistent copy of the whole store into a file that must not exist yet. Reads and writes go on. */
  backupTo(file: string, progress?: (done: number, total: number) => void): Promise<Head>;

  close(): Promise<void>;
}
