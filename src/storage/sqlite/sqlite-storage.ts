import type { Commit } from "../commit.ts";
import type { StoreIdentity } from "../records.ts";
import type { Storage } from "../storage.ts";
import { backUp } from "./backup.ts";
import { Bell } from "./bell.ts";
import type { CommitChannel, WriterStats } from "./commit-channel.ts";
import type { Reader } from "./reader.ts";
import { type Pipe, serveWrites } from "./remote-channel.ts";

export interface SqliteStorage extends Storage {
  stats(): WriterStats;
  /** Executes the writes of another process, which opened the store with this pipe as its `writer`. */
  serveWrites(pipe: Pipe): void;
}

export interface SqliteParts {
  readonly identity: StoreIdentity;
  readonly file: string;
  readonly bellFile: string;
  readonly reader: Reader;
  readonly channel: CommitChannel;
}

/** A millisecond's worth. */
const COUNTED_A_TURN = 10_000;

/** Puts the two sides together: reads on this thread, writes through the channel to the store's one writer. */
export function assembleStorage({ identity, file, bellFile, reader, channel }: SqliteParts): SqliteStorage {
  const bell = new Bell(bellFile, () => reader.head());
  channel.onCommitted(() => bell.look());
  let closed: Promise<void> | undefined;

  return {
    identity,
    head: () => reader.head(),
    readCurrent: (name) => reader.readCurrent(name),
    readEffectiveAt: (name, at) => reader.readEffectiveAt(name, at),
    readSlot: (name, slot) => reader.readSlot(name, slot),
    readSecret: (name) => reader.readSecret(name),
    listSecrets: (range, limit) => reader.listSecrets(range, limit),
    listSlots: (name, query) => reader.listSlots(name, query),
    changesAfter: (revision, limit) => reader.changesAfter(revision, limit),
    changeAt: (revision) => reader.changeAt(revision),
    findRequest: (principal, rpc, requestId) => reader.findRequest(principal, rpc, requestId),
    readAccess: () => reader.readAccess(),
    findToken: (hash) => reader.findToken(hash),
    listTokens: (after, limit) => reader.listTokens(after, limit),
    readPolicies: () => reader.readPolicies(),
    masterKeys: () => reader.masterKeys(),
    storeKeys: () => reader.storeKeys(),
    async countWrappedBy(keyId) {
      let count = 0n;
      for (let after: bigint | undefined = 0n; after !== undefined; ) {
        const part = reader.countWrappedBy(keyId, after, COUNTED_A_TURN);
        count += part.count;
        after = part.next;
        // Other calls get their turn in between.
        if (after !== undefined) await new Promise((resolve) => setImmediate(resolve));
      }
      return count;
    },
    listWrappedBy: (keyId, after, limit) => reader.listWrappedBy(keyId, after, limit),
    auditAnchors: () => reader.auditAnchors(),

    commit: (commit: Commit) => channel.write("commit", commit),
    rewrap: (items) => channel.write("rewrap", items),
    putStoreKeys: (records) => channel.write("put-store-keys", records),
    addStoreKeys: (records) => channel.write("add-store-keys", records),
    addMasterKeys: (records) => channel.write("add-master-keys", records),
    putAuditAnchors: (anchors) => channel.write("put-audit-anchors", anchors),
    newEpoch: () => channel.write("new-epoch", undefined),
    async prune(changesBefore, now) {
      // In bounded parts, so that commits get their turn in between.
      while (await channel.write("prune", { changesBefore, now })) {}
    },

    onCommit: (ring) => bell.onCommit(ring),
    backupTo: (copy, progress) => backUp(file, copy, progress),
    stats: () => channel.stats(),
    serveWrites: (pipe) => serveWrites(pipe, channel),
    close() {
      closed ??= (async () => {
        bell.close();
        await channel.close();
        reader.close();
      })();
      return closed;
    },
  };
}
