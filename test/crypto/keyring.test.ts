import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "../../src/crypto/crc32c.ts";
import { Keyring } from "../../src/crypto/keyring.ts";
import { MasterKey } from "../../src/crypto/master-key.ts";
import { RequestDigester } from "../../src/crypto/request-digest.ts";
import { parseSecretName } from "../../src/domain/names.ts";
import { parseSlotNumber } from "../../src/domain/numbers.ts";
import type { SealedPlace } from "../../src/domain/sealed-record.ts";
import { SecretValue } from "../../src/domain/secret-value.ts";

const STORE = "00112233445566778899aabbccddeeff";
const OTHER_STORE = "ff112233445566778899aabbccddeeff";
const PLACE: SealedPlace = {
  storeId: STORE,
  name: parseSecretName("prod/db"),
  slot: parseSlotNumber(5n),
  versionId: randomBytes(16),
};
const DAMAGED = expect.objectContaining({ code: "DATA_LOSS", reason: "RECORD_DAMAGED" });
const LOST = expect.objectContaining({ code: "DATA_LOSS", reason: "KEY_NOT_LOADED" });
const NOT_LOADED = expect.objectContaining({ code: "FAILED_PRECONDITION", reason: "KEY_NOT_LOADED" });

test("what is sealed opens again, at every size, and says its crc32c", () => {
  const ring = new Keyring([MasterKey.generate()]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
      const value = ring.open(PLACE, ring.seal(PLACE, bytes));
      expect(Buffer.compare(value.reveal(), bytes)).toBe(0);
      expect(value.crc32c).toBe(crc32c(bytes));
    }),
  );
  const large = randomBytes(1 << 20);
  expect(Buffer.compare(ring.open(PLACE, ring.seal(PLACE, large)).reveal(), large)).toBe(0);
});

test("a SecretValue is sealed with its own crc32c, and is left as it is", () => {
  const ring = new Keyring([MasterKey.generate()]);
  const value = new SecretValue(Buffer.from("v"), 77);
  expect(ring.open(PLACE, ring.seal(PLACE, value)).crc32c).toBe(77);
  expect(Buffer.from(value.reveal()).toString()).toBe("v");
});

test("two seals of one value share no bytes, and neither shows the value or its crc32c", () => {
  const ring = new Keyring([MasterKey.generate()]);
  const value = Buffer.from("a value that can be recognised");
  const [a, b] = [ring.seal(PLACE, value), ring.seal(PLACE, value)];
  expect(Buffer.compare(a.ciphertext.subarray(1), b.ciphertext.subarray(1))).not.toBe(0);
  expect(Buffer.compare(a.wrappedKey.subarray(1), b.wrappedKey.subarray(1))).not.toBe(0);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32c(value));
  for (const bytes of [a.ciphertext, a.wrappedKey]) {
    expect(Buffer.from(bytes).includes(value.subarray(0, 8))).toBe(false);
    expect(Buffer.from(bytes).includes(crc)).toBe(false);
  }
});

test("S2: a record opens with no bit flipped, cut or added", () => {
  const ring = new Keyring([MasterKey.generate()]);
  const record = ring.seal(PLACE, Buffer.from("value"));
  for (const part of ["ciphertext", "wrappedKey"] as const) {
    for (let bit = 0; bit < record[part].length * 8; bit++) {
      const bytes = Uint8Array.from(record[part]);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => ring.open(PLACE, { ...record, [part]: bytes })).toThrow(DAMAGED);
    }
    for (let length = 0; length < record[part].length; length++) {
      expect(() => ring.open(PLACE, { ...record, [part]: record[part].subarray(0, length) })).toThrow(
        DAMAGED,
      );
    }
  }
});

test("a rewrap changes the key and leaves the ciphertext", () => {
  const [old, next] = [MasterKey.generate(), MasterKey.generate()];
  const ring = new Keyring([old, next]);
  const record = ring.seal(PLACE, Buffer.from("value"));
  ring.setPrimary(next.id);
  const rewrapped = { ...record, ...ring.rewrap(PLACE, record) };
  expect(rewrapped.keyId).toBe(next.id);
  const without = new Keyring([next]);
  expect(Buffer.from(without.open(PLACE, rewrapped).reveal()).toString()).toBe("value");
  expect(() => without.open(PLACE, record)).toThrow(LOST);
  expect(() => ring.rewrap({ ...PLACE, slot: parseSlotNumber(6n) }, record)).toThrow(DAMAGED);
});

test("the store's keys open in their store for their purpose alone, and can be rewrapped", () => {
  const [old, next] = [MasterKey.generate(), MasterKey.generate()];
  const ring = new Keyring([old, next]);
  const { key, record } = ring.createStoreKey(STORE, "audit");
  expect(key).toHaveLength(32);
  expect(Buffer.from(ring.openStoreKey(STORE, record)).equals(key)).toBe(true);
  expect(() => ring.openStoreKey(OTHER_STORE, record)).toThrow(DAMAGED);
  expect(() => ring.openStoreKey(STORE, { ...record, purpose: "request-digest" })).toThrow(DAMAGED);
  ring.setPrimary(next.id);
  const rewrapped = ring.rewrapStoreKey(STORE, record);
  expect(rewrapped).toMatchObject({ purpose: "audit", keyId: next.id });
  expect(Buffer.from(new Keyring([next]).openStoreKey(STORE, rewrapped)).equals(key)).toBe(true);
  expect(() => new Keyring([next]).openStoreKey(STORE, record)).toThrow(LOST);
});

test("a wrong master key is told at start, by the id that is needed and those that were given", () => {
  const [right, wrong] = [MasterKey.generate(), MasterKey.generate()];
  const record = new Keyring([right]).masterKeyRecord(STORE, right.id, 1);
  expect(record).toMatchObject({ keyId: right.id, primary: true, createTime: 1 });
  expect(new Keyring([right]).admit(STORE, [record])).toEqual([]);
  const admitWrong = () => new Keyring([wrong]).admit(STORE, [record]);
  expect(admitWrong).toThrow(NOT_LOADED);
  expect(admitWrong).toThrow(right.id);
  expect(admitWrong).toThrow(wrong.id);
  expect(() => new Keyring([right]).admit(OTHER_STORE, [record])).toThrow(DAMAGED);
  expect(() =>
    new Keyring([right]).admit(STORE, [{ ...record, check: randomBytes(record.check.length) }]),
  ).toThrow(DAMAGED);
});

test("the store says which key is primary, and which others are missing", () => {
  const [a, b, c] = [MasterKey.generate(), MasterKey.generate(), MasterKey.generate()];
  const all = new Keyring([a, b, c]);
  const records = [a, b, c].map((key) => ({ ...all.masterKeyRecord(STORE, key.id, 1), primary: key === b }));
  const ring = new Keyring([a, b]);
  expect(ring.primaryId).toBe(a.id);
  expect(ring.admit(STORE, records)).toEqual([c.id]);
  expect(ring.primaryId).toBe(b.id);
  expect(ring.keyIds).toEqual([a.id, b.id]);
  expect(ring.admit(STORE, [])).toEqual([]);
});

test("a keyring needs a key, and takes none as primary that it doesn't have", () => {
  expect(() => new Keyring([])).toThrow(NOT_LOADED);
  const key = MasterKey.generate();
  const ring = new Keyring([key, new MasterKey(key.reveal())]);
  expect(ring.keyIds).toEqual([key.id]);
  expect(() => ring.setPrimary("mk_0")).toThrow(NOT_LOADED);
  expect(ring.primaryId).toBe(key.id);
});

test("S1: a master key and a keyring print no key", () => {
  const key = new MasterKey(new Uint8Array(32).fill(0xab));
  const printed = [
    inspect(key),
    `${key}`,
    JSON.stringify({ key }),
    inspect(new Keyring([key]), { depth: 9 }),
  ].join();
  expect(printed).not.toMatch(/abab|171/);
  expect(printed).toContain(key.id);
  expect(key.id).toMatch(/^mk_[0-9a-f]{20}$/);
});

test("a request's digest depends on the key, on every part, and on where one ends", () => {
  const digester = new RequestDigester(new Uint8Array(32).fill(1));
  const digest = (...parts: readonly (string | Uint8Array)[]) =>
    Buffer.from(digester.digest(parts)).toString("hex");
  expect(digest("a", "b")).toBe(digest("a", Buffer.from("b")));
  const others = [
    digest("ab"),
    digest("a", "b", ""),
    digest("", "ab"),
    digest("ab", ""),
    digest("b", "a"),
    digest(),
  ];
  expect(new Set([digest("a", "b"), ...others]).size).toBe(7);
  const other = new RequestDigester(new Uint8Array(32).fill(2));
  expect(Buffer.from(other.digest(["a", "b"])).toString("hex")).not.toBe(digest("a", "b"));
});
