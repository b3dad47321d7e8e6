import { randomFillSync } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { Keyring } from "../src/crypto/keyring.ts";
import { parseMasterKeys } from "../src/crypto/master-key-text.ts";
import type { SlotNumber } from "../src/domain/numbers.ts";
import { bornAs, VALUE_BYTES } from "./large-store.ts";

export interface SealingData {
  readonly storeId: string;
  readonly masterKey: string;
  readonly secrets: number;
}

/** One slot of `count` secrets in the order of their birth. */
export interface SealRange {
  readonly slot: number;
  readonly first: number;
  readonly count: number;
}

/** Side by side, all of one width. */
export interface SealedBatch {
  readonly versionIds: Uint8Array;
  readonly wrappedKeys: Uint8Array;
  readonly ciphertexts: Uint8Array;
}

const { storeId, masterKey, secrets } = workerData as SealingData;
const keyring = new Keyring(parseMasterKeys(masterKey, "the generator"));

function seal({ slot, first, count }: SealRange): SealedBatch {
  const versionIds = randomFillSync(new Uint8Array(16 * count));
  const wrappedKeys: Uint8Array[] = [];
  const ciphertexts: Uint8Array[] = [];
  for (let at = 0; at < count; at++) {
    const name = bornAs(first + at, secrets);
    const versionId = versionIds.subarray(16 * at, 16 * (at + 1));
    const value = Buffer.alloc(VALUE_BYTES, `${name} ${slot} `);
    const place = { storeId, name, slot: BigInt(slot) as SlotNumber, versionId };
    const { wrappedKey, ciphertext } = keyring.seal(place, value);
    wrappedKeys.push(wrappedKey);
    ciphertexts.push(ciphertext);
  }
  return { versionIds, wrappedKeys: Buffer.concat(wrappedKeys), ciphertexts: Buffer.concat(ciphertexts) };
}

parentPort?.on("message", (range: SealRange) => parentPort?.postMessage(seal(range)));
