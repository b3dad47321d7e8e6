import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { FileAuditLog } from "../src/audit/file-audit-log.ts";
import { Keyring } from "../src/crypto/keyring.ts";
import { createMasterKeyFile } from "../src/crypto/master-key-file.ts";
import { formatMasterKey } from "../src/crypto/master-key-text.ts";
import { flush } from "../src/disk/durable.ts";
import type { SecretName } from "../src/domain/names.ts";
import type { SlotNumber } from "../src/domain/numbers.ts";
import { introduceKeys, makeAdminToken } from "../src/first-start.ts";
import { BUSY_TIMEOUT_MS, connect } from "../src/storage/sqlite/connection.ts";
import { storeFiles } from "../src/storage/sqlite/files.ts";
import { mutate } from "../src/storage/sqlite/mutate.ts";
import { openSqliteStorage } from "../src/storage/sqlite/open.ts";
import { WriterTables } from "../src/storage/sqlite/writer-tables.ts";
import type { SealedBatch, SealingData, SealRange } from "./sealing-thread.ts";

export const VALUE_BYTES = 100;
export const NAMES_A_GROUP = 1000;
const PUTS_A_TRANSACTION = 10_000;
/** Shares no factor with any number of secrets that one would ask for. */
const STRIDE = 2_654_435_761n;

export interface LargeStore {
  readonly dataDir: string;
  readonly secrets: number;
  /** Of each secret: 0, 1, 2 … */
  readonly slots: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The names are in byte order of their index: index `n` stands after `n` others in a list. */
export function nameAt(index: number): SecretName {
  const group = String(Math.floor(index / NAMES_A_GROUP)).padStart(5, "0");
  return `group-${group}/secret-${String(index % NAMES_A_GROUP).padStart(3, "0")}` as SecretName;
}

/**
 * Makes a store that is as if all of it had been put by callers: sealed by its own master key, each slot the commit
 * that a PutSlot makes, its change log whole. Secrets are born in an order that has nothing to do with their names,
 * and a secret's slots are put a round apart, so that they lie scattered over the file as they would after years.
 */
export async function makeLargeStore({ dataDir, secrets, slots, onProgress }: LargeStore): Promise<void> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const key = createMasterKeyFile(join(dataDir, "master.key"));
  const keyring = new Keyring([key]);
  const begun = await openSqliteStorage({ dataDir });
  const { audit } = await introduceKeys(begun, keyring, Date.now());
  await makeAdminToken(begun, dataDir, Date.now());
  const { storeId } = begun.identity;
  await begun.close();

  const sealing = new Sealing({ storeId, masterKey: formatMasterKey(key), secrets });
  try {
    await putAll(dataDir, keyring.primaryId, sealing, secrets, slots, onProgress);
  } finally {
    await sealing.close();
  }

  // The log begins after all that: a store as it is after a restore from a backup.
  const storage = await openSqliteStorage({ dataDir });
  const log = await FileAuditLog.open({
    directory: join(dataDir, "audit"),
    storeKey: audit,
    anchor: (anchor) => storage.putAuditAnchors([anchor]),
    covered: () => storage.head().revision,
    reserveBytes: 0,
  });
  await log.close();
  await storage.close();
}

async function putAll(
  dataDir: string,
  keyId: string,
  sealing: Sealing,
  secrets: number,
  slots: number,
  onProgress: LargeStore["onProgress"],
): Promise<void> {
  const { file } = storeFiles(dataDir);
  const db = connect(file, BUSY_TIMEOUT_MS);
  try {
    // Nothing counts before it is whole: it is flushed once, at the end.
    db.pragma("synchronous = OFF");
    db.pragma("cache_size = -1000000");
    const tables = new WriterTables(db);
    const write = db.transaction((range: SealRange, sealed: SealedBatch) => {
      for (let at = 0; at < range.count; at++) {
        const name = bornAs(range.first + at, secrets);
        const commitId = randomBytes(16);
        const record = {
          keyId,
          wrappedKey: part(sealed.wrappedKeys, at, range.count),
          ciphertext: part(sealed.ciphertexts, at, range.count),
        };
        const outcome = mutate(tables, {
          ...{ commitId, time: Date.now(), principal: "bench", rpc: "PutSlot" },
          mutation: {
            kind: "put-slot",
            name,
            slot: BigInt(range.slot) as SlotNumber,
            state: "enabled",
            versionId: part(sealed.versionIds, at, range.count),
            size: VALUE_BYTES,
            replaces: undefined,
            maxSlots: slots,
            record,
          },
        });
        if (outcome.kind !== "committed") throw new Error(`a put was not committed: ${outcome.kind}`);
      }
    });
    const total = secrets * slots;
    let done = 0;
    let ahead: Promise<SealedBatch> | undefined;
    const ranges = [...rangesOf(secrets, slots)];
    for (const [index, range] of ranges.entries()) {
      const sealed = await (ahead ?? sealing.seal(range));
      const next = ranges[index + 1];
      ahead = next === undefined ? undefined : sealing.seal(next);
      write.immediate(range, sealed);
      db.pragma("wal_checkpoint(PASSIVE)");
      done += range.count;
      onProgress?.(done, total);
    }
    db.pragma("wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
  flush(file);
}

function* rangesOf(secrets: number, slots: number): Generator<SealRange> {
  for (let slot = 0; slot < slots; slot++) {
    for (let first = 0; first < secrets; first += PUTS_A_TRANSACTION) {
      yield { slot, first, count: Math.min(PUTS_A_TRANSACTION, secrets - first) };
    }
  }
}

/** The name of the secret that is born as the `birth`th. */
export function bornAs(birth: number, secrets: number): SecretName {
  return nameAt(Number((BigInt(birth) * STRIDE) % BigInt(secrets)));
}

function part(bytes: Uint8Array, index: number, count: number): Uint8Array {
  const width = bytes.length / count;
  return bytes.subarray(index * width, (index + 1) * width);
}

/** Sealing takes as long as writing: it has a thread of its own. */
class Sealing {
  readonly #worker: Worker;
  #waiting: PromiseWithResolvers<SealedBatch> | undefined;

  constructor(data: SealingData) {
    this.#worker = new Worker(new URL("./sealing-thread.ts", import.meta.url), { workerData: data });
    this.#worker.on("message", (batch: SealedBatch) => this.#waiting?.resolve(batch));
    this.#worker.on("error", (error) => this.#waiting?.reject(error));
  }

  /** One at a time. */
  seal(range: SealRange): Promise<SealedBatch> {
    this.#waiting = Promise.withResolvers();
    this.#worker.postMessage(range);
    return this.#waiting.promise;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
