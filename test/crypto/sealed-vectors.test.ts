import { createDecipheriv } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Keyring } from "../../src/crypto/keyring.ts";
import { MasterKey } from "../../src/crypto/master-key.ts";
import { Xaes256Gcm } from "../../src/crypto/xaes-256-gcm.ts";
import { parseSecretName } from "../../src/domain/names.ts";
import { parseSlotNumber } from "../../src/domain/numbers.ts";
import type { SealedPlace, SealedRecord } from "../../src/domain/sealed-record.ts";

interface Vector {
  readonly comment: string;
  readonly expect: "success" | "record-damaged" | "key-not-loaded";
  readonly value?: string;
  readonly crc32c?: number;
  readonly master_keys: readonly string[];
  readonly place: {
    readonly store_id: string;
    readonly name: string;
    readonly slot: string;
    readonly version_id: string;
  };
  readonly record: { readonly key_id: string; readonly wrapped_key: string; readonly ciphertext: string };
}

const FOLDER = join(import.meta.dirname, "../vectors/sealed");
const FILES = readdirSync(FOLDER).sort();

function read(file: string): { vector: Vector; ring: Keyring; place: SealedPlace; record: SealedRecord } {
  const vector: Vector = JSON.parse(readFileSync(join(FOLDER, file), "utf8"));
  return {
    vector,
    ring: new Keyring(vector.master_keys.map((key) => new MasterKey(unhex(key)))),
    place: {
      storeId: vector.place.store_id,
      name: parseSecretName(vector.place.name),
      slot: parseSlotNumber(BigInt(vector.place.slot)),
      versionId: unhex(vector.place.version_id),
    },
    record: {
      keyId: vector.record.key_id,
      wrappedKey: unhex(vector.record.wrapped_key),
      ciphertext: unhex(vector.record.ciphertext),
    },
  };
}

const unhex = (text: string) => Buffer.from(text, "hex");

test.each(FILES)("S2, D3: %s", (file) => {
  const { vector, ring, place, record } = read(file);
  switch (vector.expect) {
    case "success": {
      const value = ring.open(place, record);
      expect(Buffer.from(value.reveal()).toString("hex")).toBe(vector.value);
      expect(value.crc32c).toBe(vector.crc32c);
      const rewrapped = { ...record, ...ring.rewrap(place, record) };
      expect(Buffer.from(ring.open(place, rewrapped).reveal()).toString("hex")).toBe(vector.value);
      return;
    }
    case "record-damaged":
      expect(() => ring.open(place, record)).toThrow(
        expect.objectContaining({ code: "DATA_LOSS", reason: "RECORD_DAMAGED" }),
      );
      return;
    case "key-not-loaded":
      expect(() => ring.open(place, record)).toThrow(
        expect.objectContaining({ code: "DATA_LOSS", reason: "KEY_NOT_LOADED" }),
      );
      expect(() => ring.rewrap(place, record)).toThrow(
        expect.objectContaining({ code: "DATA_LOSS", reason: "KEY_NOT_LOADED" }),
      );
      return;
    default:
      throw new Error(`unknown expectation ${vector.expect satisfies never}`);
  }
});

test("there are valid vectors and broken ones", () => {
  expect(FILES.filter((file) => file.startsWith("valid")).length).toBeGreaterThanOrEqual(8);
  expect(FILES.length).toBeGreaterThanOrEqual(40);
});

test("the format is as it is written down: opened here by hand", () => {
  const { vector, record } = read("valid.json");
  const { store_id, name, slot, version_id } = vector.place;
  const slotBytes = unhex(BigInt(slot).toString(16).padStart(16, "0"));
  const fields = [Buffer.from(store_id), Buffer.from(name), slotBytes, unhex(version_id)];
  const join = (...parts: readonly Uint8Array[]) =>
    Buffer.concat(parts.flatMap((part) => [Uint8Array.of(0, 0, 0, part.length), part]));

  const wrapped = Buffer.from(record.wrappedKey);
  expect(wrapped).toHaveLength(1 + 24 + 32 + 16);
  const master = new Xaes256Gcm(unhex(vector.master_keys[0]!));
  const wrapData = join(Buffer.from("slots-data-key-v1"), ...fields, Buffer.from(vector.record.key_id));
  const dataKey = master.open(wrapped.subarray(1, 25), wrapped.subarray(25), wrapData);

  const ciphertext = Buffer.from(record.ciphertext);
  const decipher = createDecipheriv("aes-256-gcm", dataKey!, Buffer.alloc(12));
  decipher.setAAD(join(Buffer.from("slots-value-v1"), ...fields));
  decipher.setAuthTag(ciphertext.subarray(-16));
  const opened = Buffer.concat([decipher.update(ciphertext.subarray(1, -16)), decipher.final()]);
  expect([wrapped[0], ciphertext[0]]).toEqual([1, 1]);
  expect(opened.readUInt32BE()).toBe(vector.crc32c);
  expect(opened.subarray(4).toString("hex")).toBe(vector.value);
});
