import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SlotsError } from "../../src/domain/errors.ts";
import { StorageOpenError } from "../../src/storage/open-error.ts";
import { connect } from "../../src/storage/sqlite/connection.ts";
import { inspectFile } from "../../src/storage/sqlite/inspect.ts";
import { openSqliteStorage } from "../../src/storage/sqlite/open.ts";
import { Reader } from "../../src/storage/sqlite/reader.ts";
import {
  bytes,
  committed,
  comparable,
  name,
  put,
  revision,
  sealed,
  setState,
  slot,
} from "../contracts/storage-commits.ts";
import { tempDir } from "./temp-dir.ts";

const FLIPS = 200;
const SEED = 20_261;

/** What is read of a store; sealed values are left out, since they answer for themselves. */
const READS: readonly ((reader: Reader) => unknown)[] = [
  ...["a", "b/c"].flatMap((secret) => [
    (reader: Reader) => reader.readCurrent(name(secret)),
    (reader: Reader) => reader.readEffectiveAt(name(secret), slot(4)),
    (reader: Reader) => reader.listSlots(name(secret), { limit: 100, withRecords: true }),
  ]),
  (reader) => reader.head(),
  (reader) => reader.readAccess(),
  (reader) => reader.findToken(bytes("t", 32)),
  (reader) => reader.listSecrets({ from: "" }, 10),
  (reader) => reader.changesAfter(revision(0), 100),
];

function textOf(read: unknown): string {
  const sealedBytes = /"(ciphertext|wrappedKey|keyId)":"[^"]*"/g;
  return JSON.stringify(comparable(read)).replace(sealedBytes, '"$1":"sealed"');
}

async function smallStore(): Promise<Buffer> {
  const dataDir = tempDir();
  const storage = await openSqliteStorage({ dataDir });
  for (let number = 0; number < 15; number += 3) {
    for (const secret of ["a", "b/c"]) {
      const ciphertext = bytes(`${secret} ${number}`, number === 3 ? 6000 : 100);
      await committed(storage, put(secret, number, { record: { ...sealed("x"), ciphertext } }));
    }
  }
  await committed(storage, setState("a", 12, "disabled"));
  await committed(storage, setState("b/c", 0, "destroyed"));
  const token = {
    tokenId: "t",
    hash: bytes("t", 32),
    principal: "token:x",
    groups: ["g"],
    comment: "",
    createTime: 3,
  };
  await committed(storage, {
    kind: "create-token",
    token: { ...token, expireTime: undefined, revokeTime: undefined },
  });
  await storage.close();
  return readFileSync(join(dataDir, "store.db"));
}

/** What one read of the damaged file says: the truth, that it is damaged, or something else. */
function judge(read: () => unknown, truth: string): string {
  try {
    return textOf(read()) === truth ? "true" : "WRONG";
  } catch (error) {
    return error instanceof SlotsError && error.reason === "RECORD_DAMAGED"
      ? "damaged"
      : `WRONG: ${String(error)}`;
  }
}

test("a flipped bit is refused at the start or by its record, and never read as something else (D3)", async () => {
  const whole = await smallStore();
  const dir = join(tempDir(), "flips");
  mkdirSync(dir);
  const readAll = (file: string, truths: readonly string[] | undefined) => {
    const db = connect(file, 1000);
    try {
      const reader = new Reader(db);
      return READS.map((read, index) =>
        truths === undefined ? textOf(read(reader)) : judge(() => read(reader), truths[index]!),
      );
    } finally {
      db.close();
    }
  };
  writeFileSync(join(dir, "whole.db"), whole);
  const truths = readAll(join(dir, "whole.db"), undefined);
  let random = SEED;
  for (let round = 0; round < FLIPS; round += 1) {
    random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
    const at = random % (whole.length * 8);
    const flipped = Buffer.from(whole);
    flipped[at >> 3]! ^= 1 << (at & 7);
    const file = join(dir, "flipped.db");
    writeFileSync(file, flipped);
    try {
      inspectFile(file, flipped.length, 0);
      expect(
        readAll(file, truths).filter((verdict) => verdict.startsWith("WRONG")),
        `bit ${at}`,
      ).toEqual([]);
    } catch (error) {
      if (error instanceof Error && error.name === "AssertionError") throw error;
      expect(error, `bit ${at}`).toBeInstanceOf(StorageOpenError);
    }
  }
}, 120_000);

test("a bit flipped in the name of a column is refused at the start, although SQLite finds no fault (D3)", async () => {
  const file = join(tempDir(), "store.db");
  const store = await smallStore();
  writeFileSync(file, store);
  expect(inspectFile(file, store.length, 0).storeId).toMatch(/^[0-9a-f]{32}$/);
  const column = store.indexOf("name TEXT NOT NULL UNIQUE");
  store[column]! ^= 1;
  writeFileSync(file, store);
  expect(() => inspectFile(file, store.length, 0)).toThrow(StorageOpenError);
});
