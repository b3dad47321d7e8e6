/**
 * Makes test/vectors/sealed/: `node test/vectors/make-sealed.ts`. Each file holds one record and says whether
 * it opens; each that does not has one thing wrong. Sealing is random, so a run makes other bytes: run it only
 * when the format changes, and keep the files of the old format, which must open for as long as it is read.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32c } from "../../src/crypto/crc32c.ts";
import { Keyring } from "../../src/crypto/keyring.ts";
import { MasterKey } from "../../src/crypto/master-key.ts";
import { parseSecretName } from "../../src/domain/names.ts";
import { parseSlotNumber } from "../../src/domain/numbers.ts";
import type { SealedPlace, SealedRecord } from "../../src/domain/sealed-record.ts";

const FOLDER = join(import.meta.dirname, "sealed");
const KEY = new Uint8Array(32).fill(0x11);
const OTHER_KEY = new Uint8Array(32).fill(0x22);
const PLACE: SealedPlace = {
  storeId: "00112233445566778899aabbccddeeff",
  name: parseSecretName("prod/payments/db"),
  slot: parseSlotNumber(5n),
  versionId: Buffer.from("0123456789abcdef0123456789abcdef", "hex"),
};
const VALUE = Buffer.from("correct horse battery staple");

const ring = new Keyring([new MasterKey(KEY), new MasterKey(OTHER_KEY)]);
const record = ring.seal(PLACE, VALUE);
const [keyId, otherKeyId] = ring.keyIds as [string, string];
const sibling = ring.seal(
  { ...PLACE, versionId: Buffer.alloc(16, 7) },
  Buffer.from("another value of the slot"),
);

interface Case {
  readonly comment: string;
  readonly keys?: readonly Uint8Array[];
  readonly place?: Partial<SealedPlace>;
  readonly record?: Partial<SealedRecord>;
  readonly value?: Uint8Array;
  readonly expect?: "record-damaged" | "key-not-loaded";
}

mkdirSync(FOLDER, { recursive: true });

opens("valid", { comment: "A record as it is sealed." });
opens("valid-two-keys", { comment: "The key that wraps it is the second of two.", keys: [OTHER_KEY, KEY] });
sealed("valid-empty-value", "The empty value.", PLACE, new Uint8Array());
sealed("valid-slot-zero", "Slot 0.", { ...PLACE, slot: parseSlotNumber(0n) }, VALUE);
sealed("valid-largest-slot", "Slot 2^63-1.", { ...PLACE, slot: parseSlotNumber(2n ** 63n - 1n) }, VALUE);
sealed("valid-longest-name", "255 bytes.", { ...PLACE, name: parseSecretName("n".repeat(255)) }, VALUE);
sealed(
  "valid-binary-value",
  "All 256 bytes.",
  PLACE,
  Uint8Array.from({ length: 256 }, (_, index) => index),
);
{
  ring.setPrimary(otherKeyId);
  const rewrapped = { ...record, ...ring.rewrap(PLACE, record) };
  opens("valid-rewrapped", {
    comment: "The same ciphertext, rewrapped.",
    keys: [OTHER_KEY],
    record: rewrapped,
  });
  ring.setPrimary(keyId);
}

for (const [part, at] of Object.entries({ format: 0, crc32c: 1, value: 5, "value-end": 5 + 27, tag: -1 })) {
  fails(`ciphertext-${part}-flipped`, {
    comment: `One bit of the ciphertext's ${part} is flipped.`,
    record: { ciphertext: flipped(record.ciphertext, at) },
  });
}
for (const [part, at] of Object.entries({ format: 0, "derivation-nonce": 1, nonce: 13, key: 25, tag: -1 })) {
  fails(`wrapped-key-${part}-flipped`, {
    comment: `One bit of the wrapped key's ${part} is flipped.`,
    record: { wrappedKey: flipped(record.wrappedKey, at) },
  });
}
fails("other-slot", { comment: "Moved to the next slot.", place: { slot: parseSlotNumber(6n) } });
fails("other-name", {
  comment: "Moved to another secret.",
  place: { name: parseSecretName("prod/payments/dc") },
});
fails("name-of-other-length", {
  comment: "Another name.",
  place: { name: parseSecretName("prod/payments/d") },
});
fails("other-store", {
  comment: "From another store.",
  place: { storeId: "00112233445566778899aabbccddeefe" },
});
fails("other-version", {
  comment: "Another version of the slot.",
  place: { versionId: Buffer.alloc(16, 7) },
});
fails("fields-shifted", {
  comment: "One character moved from the store's id to the name: the same bytes but for the lengths.",
  place: { storeId: PLACE.storeId.slice(0, -1), name: parseSecretName(`f${PLACE.name}`) },
});
fails("sibling-ciphertext", {
  comment: "The ciphertext of another version under this one's wrapped key.",
  record: { ciphertext: sibling.ciphertext },
});
fails("sibling-wrapped-key", {
  comment: "The wrapped key of another version with this one's ciphertext.",
  record: { wrappedKey: sibling.wrappedKey },
});
fails("other-key-id", {
  comment: "Said to be wrapped by another key that is loaded too.",
  keys: [KEY, OTHER_KEY],
  record: { keyId: otherKeyId },
});
fails("key-not-loaded", {
  comment: "Wrapped by a key that is not here.",
  keys: [OTHER_KEY],
  expect: "key-not-loaded",
});
fails("key-id-unknown", {
  comment: "Said to be wrapped by a key that nobody has.",
  record: { keyId: "mk_00000000000000000000" },
  expect: "key-not-loaded",
});
for (const [what, length] of Object.entries({
  "by-one": -1,
  "to-header": 5,
  "to-format": 1,
  "to-nothing": 0,
})) {
  fails(`ciphertext-cut-${what}`, {
    comment: "The ciphertext is cut short.",
    record: { ciphertext: record.ciphertext.slice(0, length) },
  });
  fails(`wrapped-key-cut-${what}`, {
    comment: "The wrapped key is cut short.",
    record: { wrappedKey: record.wrappedKey.slice(0, length) },
  });
}
fails("ciphertext-longer", {
  comment: "A byte more than was sealed.",
  record: { ciphertext: Buffer.concat([record.ciphertext, Buffer.alloc(1)]) },
});
fails("wrapped-key-longer", {
  comment: "A byte more than was wrapped.",
  record: { wrappedKey: Buffer.concat([record.wrappedKey, Buffer.alloc(1)]) },
});
fails("ciphertext-unknown-format", {
  comment: "A format of the future.",
  record: { ciphertext: Uint8Array.from(record.ciphertext, (byte, index) => (index === 0 ? 2 : byte)) },
});
fails("wrapped-key-unknown-format", {
  comment: "A format of the future.",
  record: { wrappedKey: Uint8Array.from(record.wrappedKey, (byte, index) => (index === 0 ? 2 : byte)) },
});

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[(at + copy.length) % copy.length]! ^= 1;
  return copy;
}

function sealed(name: string, comment: string, place: SealedPlace, value: Uint8Array): void {
  opens(name, { comment, place, value, record: ring.seal(place, value) });
}

function opens(name: string, vector: Case): void {
  const value = vector.value ?? VALUE;
  write(name, vector, { expect: "success", value: hex(value), crc32c: crc32c(value) });
}

function fails(name: string, vector: Case): void {
  write(name, vector, { expect: vector.expect ?? "record-damaged" });
}

function write(name: string, vector: Case, outcome: object): void {
  const place = { ...PLACE, ...vector.place };
  const { keyId, wrappedKey, ciphertext } = { ...record, ...vector.record };
  const content = {
    comment: vector.comment,
    ...outcome,
    master_keys: (vector.keys ?? [KEY]).map(hex),
    place: {
      store_id: place.storeId,
      name: place.name,
      slot: `${place.slot}`,
      version_id: hex(place.versionId),
    },
    record: { key_id: keyId, wrapped_key: hex(wrappedKey), ciphertext: hex(ciphertext) },
  };
  writeFileSync(join(FOLDER, `${name}.json`), `${JSON.stringify(content, null, 2)}\n`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
