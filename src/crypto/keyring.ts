import { randomFillSync } from "node:crypto";
import { SlotsError } from "../domain/errors.ts";
import type {
  MasterKeyRecord,
  SealedPlace,
  SealedRecord,
  StoreKeyPurpose,
  StoreKeyRecord,
} from "../domain/sealed-record.ts";
import { SecretValue } from "../domain/secret-value.ts";
import { keyCheckData, storeKeyData, valueData, wrappedKeyData } from "./additional-data.ts";
import { crc32c } from "./crc32c.ts";
import type { MasterKey } from "./master-key.ts";
import { openValue, sealValue, unwrapKey, wrapKey } from "./sealed-format.ts";
import { XAES_NONCE_BYTES, Xaes256Gcm } from "./xaes-256-gcm.ts";

const DATA_KEY_BYTES = 32;
const STORE_KEY_BYTES = 32;
const CHECK_CONSTANT = Buffer.from("slots master key check v1 ------", "latin1");

/** A key under another key, and which. */
export interface Wrapped {
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
}

/**
 * The master keys of this process, one of them primary. Whatever it seals is wrapped by the primary; it opens
 * what any of its keys wraps. All its methods are synchronous and take microseconds.
 */
export class Keyring {
  readonly #masters = new Map<string, Xaes256Gcm>();
  #primaryId: string;

  /** At least one key; the first is primary until the store says otherwise. The same key twice is one key. */
  constructor(keys: readonly MasterKey[]) {
    const first = keys[0];
    if (first === undefined) throw new SlotsError("KEY_NOT_LOADED", "no master key was given");
    for (const key of keys) this.#masters.set(key.id, new Xaes256Gcm(key.reveal()));
    this.#primaryId = first.id;
  }

  get primaryId(): string {
    return this.#primaryId;
  }

  /** In the order they were given. */
  get keyIds(): readonly string[] {
    return [...this.#masters.keys()];
  }

  has(keyId: string): boolean {
    return this.#masters.has(keyId);
  }

  /** Throws KEY_NOT_LOADED when the key isn't here. */
  setPrimary(keyId: string): void {
    this.#master(keyId);
    this.#primaryId = keyId;
  }

  /** Seals a value for one version of one slot, under a data key made for it alone. */
  seal(place: SealedPlace, value: SecretValue | Uint8Array): SealedRecord {
    const plain = value instanceof SecretValue ? value : new SecretValue(value, crc32c(value));
    const random = randomFillSync(new Uint8Array(DATA_KEY_BYTES + XAES_NONCE_BYTES));
    const dataKey = random.subarray(0, DATA_KEY_BYTES);
    const nonce = random.subarray(DATA_KEY_BYTES);
    const keyId = this.#primaryId;
    const ciphertext = sealValue(dataKey, plain, valueData(place));
    const wrappedKey = wrapKey(this.#master(keyId), nonce, dataKey, wrappedKeyData(place, keyId));
    dataKey.fill(0);
    return { keyId, wrappedKey, ciphertext };
  }

  /**
   * The value, if the record was sealed for this very place (S2). Always DATA_LOSS otherwise: RECORD_DAMAGED,
   * or KEY_NOT_LOADED when the master key that wraps it isn't here.
   */
  open(place: SealedPlace, record: SealedRecord): SecretValue {
    const dataKey = this.#unwrap(place, record);
    const value = openValue(dataKey, record.ciphertext, valueData(place));
    dataKey.fill(0);
    if (value === undefined) throw damaged(place, "value");
    return value;
  }

  /** Wraps the data key by the primary; the value isn't read. Fails as `open` does. */
  rewrap(place: SealedPlace, wrapped: Wrapped): Wrapped {
    const dataKey = this.#unwrap(place, wrapped);
    const keyId = this.#primaryId;
    const wrappedKey = wrapKey(this.#master(keyId), freshNonce(), dataKey, wrappedKeyData(place, keyId));
    dataKey.fill(0);
    return { keyId, wrappedKey };
  }

  /** A new random key of the store: its bytes and the record to keep. */
  createStoreKey(storeId: string, purpose: StoreKeyPurpose): { key: Uint8Array; record: StoreKeyRecord } {
    const key = randomFillSync(new Uint8Array(STORE_KEY_BYTES));
    return { key, record: this.#wrapStoreKey(storeId, purpose, key) };
  }

  /** Fails as `open` does. */
  openStoreKey(storeId: string, record: StoreKeyRecord): Uint8Array {
    const { purpose, keyId, wrappedKey } = record;
    const key = unwrapKey(this.#opener(keyId), wrappedKey, storeKeyData(storeId, purpose, keyId));
    if (key === undefined) {
      throw new SlotsError("RECORD_DAMAGED", `the store's key '${purpose}' does not open`, {
        metadata: { purpose, keyId },
      });
    }
    return key;
  }

  /** Wraps the store's key by the primary. Fails as `open` does. */
  rewrapStoreKey(storeId: string, record: StoreKeyRecord): StoreKeyRecord {
    const key = this.openStoreKey(storeId, record);
    const rewrapped = this.#wrapStoreKey(storeId, record.purpose, key);
    key.fill(0);
    return rewrapped;
  }

  /** What the store keeps of a key so that another one is told at start. `createTime`: Unix milliseconds. */
  masterKeyRecord(storeId: string, keyId: string, createTime: number): MasterKeyRecord {
    const check = wrapKey(this.#master(keyId), freshNonce(), CHECK_CONSTANT, keyCheckData(storeId, keyId));
    return { keyId, primary: keyId === this.#primaryId, check, createTime };
  }

  /**
   * Compares the keys with those that the store knows, and takes the store's primary as its own. Throws when
   * the primary isn't here or a check does not open, so that nothing is served with a wrong key. Returns the
   * ids of other keys of the store that aren't here: what they wrap can't be read.
   */
  admit(storeId: string, records: readonly MasterKeyRecord[]): readonly string[] {
    const missing = records.filter((record) => !this.has(record.keyId));
    const lost = missing.find((record) => record.primary);
    if (lost !== undefined) {
      throw new SlotsError(
        "KEY_NOT_LOADED",
        `this store needs the master key ${lost.keyId}, but the keys given are ${this.keyIds.join(", ")}; ` +
          "start with the key file (or variable, or credential) that the store was made with",
        { metadata: { keyId: lost.keyId } },
      );
    }
    for (const { keyId, check } of records) {
      const master = this.#masters.get(keyId);
      if (master === undefined) continue;
      const opened = unwrapKey(master, check, keyCheckData(storeId, keyId));
      if (opened === undefined || !CHECK_CONSTANT.equals(opened)) {
        throw new SlotsError(
          "RECORD_DAMAGED",
          `the check of master key ${keyId} does not open: the store is damaged, or was put together from two`,
          { metadata: { keyId } },
        );
      }
    }
    const primary = records.find((record) => record.primary);
    if (primary !== undefined) this.#primaryId = primary.keyId;
    return missing.map((record) => record.keyId);
  }

  #wrapStoreKey(storeId: string, purpose: StoreKeyPurpose, key: Uint8Array): StoreKeyRecord {
    const keyId = this.#primaryId;
    const data = storeKeyData(storeId, purpose, keyId);
    return { purpose, keyId, wrappedKey: wrapKey(this.#master(keyId), freshNonce(), key, data) };
  }

  #unwrap(place: SealedPlace, wrapped: Wrapped): Uint8Array {
    const master = this.#opener(wrapped.keyId);
    const dataKey = unwrapKey(master, wrapped.wrappedKey, wrappedKeyData(place, wrapped.keyId));
    if (dataKey === undefined || dataKey.length !== DATA_KEY_BYTES) throw damaged(place, "data key");
    return dataKey;
  }

  #master(keyId: string): Xaes256Gcm {
    const master = this.#masters.get(keyId);
    if (master === undefined) {
      throw new SlotsError("KEY_NOT_LOADED", `the master key ${keyId} is not loaded`, {
        metadata: { keyId },
      });
    }
    return master;
  }

  /** To a caller, a record whose master key isn't here is as lost as a damaged one. */
  #opener(keyId: string): Xaes256Gcm {
    const master = this.#masters.get(keyId);
    if (master === undefined) {
      throw new SlotsError("KEY_NOT_LOADED", `the master key ${keyId} is not loaded`, {
        code: "DATA_LOSS",
        metadata: { keyId },
      });
    }
    return master;
  }
}

function freshNonce(): Uint8Array {
  return randomFillSync(new Uint8Array(XAES_NONCE_BYTES));
}

function damaged(place: SealedPlace, part: "value" | "data key"): SlotsError {
  return new SlotsError(
    "RECORD_DAMAGED",
    `the ${part} of slot ${place.slot} of '${place.name}' does not open: it is damaged or from another place`,
    { metadata: { name: place.name, slot: String(place.slot) } },
  );
}
