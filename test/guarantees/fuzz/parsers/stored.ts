import { randomBytes } from "node:crypto";
import { parseRecord } from "../../../../src/audit/search.ts";
import { Keyring } from "../../../../src/crypto/keyring.ts";
import { MasterKey } from "../../../../src/crypto/master-key.ts";
import { formatMasterKey, parseMasterKeys } from "../../../../src/crypto/master-key-text.ts";
import { SlotsError } from "../../../../src/domain/errors.ts";
import type { SecretName } from "../../../../src/domain/names.ts";
import type { SlotNumber } from "../../../../src/domain/numbers.ts";
import { BackupDecoder, encodeBackup } from "../../../../src/offline/backup-format.ts";
import { decodeResult, encodeResult } from "../../../../src/storage/sqlite/result-codec.ts";
import { must, mustEqual, orRefused } from "./expect.ts";
import type { ParserTarget } from "./guided.ts";

const damaged = (error: Error) => error instanceof SlotsError && error.code === "DATA_LOSS";

const KEY = new MasterKey(new Uint8Array(32).fill(7));
const keyring = new Keyring([KEY]);
const PLACE = {
  storeId: "0".repeat(32),
  name: "app/db" as SecretName,
  slot: 5n as SlotNumber,
  // New each time: what an earlier run sealed, and its corpus remembers, must not open either.
  versionId: randomBytes(16),
};
const VALUE = Buffer.from("the value");
const SEALED = keyring.seal(PLACE, VALUE);

async function backupOf(database: Uint8Array): Promise<Buffer> {
  const header = {
    revision: 42n,
    epoch: "0".repeat(32),
    databaseBytes: BigInt(database.length),
    createTime: "2026-01-02T03:04:05.678Z",
    version: "0.1.0",
  };
  const parts: Uint8Array[] = [];
  async function* chunks() {
    yield database;
  }
  for await (const part of encodeBackup(header, chunks())) parts.push(part);
  return Buffer.concat(parts);
}
const BACKUP = await backupOf(Buffer.from("a database"));

/** Parsers of what lies on the disk. */
export const STORED: readonly ParserTarget[] = [
  {
    name: "sealed record",
    modules: ["src/crypto/sealed-format.ts", "src/crypto/keyring.ts", "src/crypto/xaes-256-gcm.ts"],
    seeds: [Buffer.concat([SEALED.wrappedKey, SEALED.ciphertext])],
    check: (input) => {
      const wrappedKey = input.subarray(0, SEALED.wrappedKey.length);
      const ciphertext = input.subarray(SEALED.wrappedKey.length);
      const opened = orRefused(() => keyring.open(PLACE, { keyId: KEY.id, wrappedKey, ciphertext }), damaged);
      if (opened === undefined) return;
      must(
        wrappedKey.equals(SEALED.wrappedKey) && ciphertext.equals(SEALED.ciphertext),
        "only the record that was sealed opens (S2)",
      );
      must(VALUE.equals(opened.reveal()), "what opens is what was sealed (D3)");
    },
  },
  {
    name: "master key",
    modules: ["src/crypto/master-key-text.ts"],
    seeds: [
      formatMasterKey(KEY),
      `# two\n${formatMasterKey(KEY)} ${formatMasterKey(new MasterKey(new Uint8Array(32).fill(8)))} # end\n`,
    ],
    check: (input) => {
      const refused = (error: Error) => error instanceof SlotsError && error.reason === "KEY_NOT_LOADED";
      const text = input.toString("latin1");
      const keys = orRefused(() => parseMasterKeys(text, "file"), refused);
      for (const key of keys ?? []) must(text.includes(formatMasterKey(key)), "a key is as it was written");
    },
  },
  {
    name: "backup",
    modules: ["src/offline/backup-format.ts"],
    seeds: [BACKUP, await backupOf(new Uint8Array())],
    check: (input) => {
      const decoder = new BackupDecoder();
      const pieces: Uint8Array[] = [];
      // In pieces that fall anywhere.
      const size = 1 + (input[0] ?? 0);
      const header = orRefused(() => {
        for (let at = 0; at < input.length; at += size)
          pieces.push(decoder.push(input.subarray(at, at + size)));
        return decoder.end();
      }, damaged);
      if (header === undefined) return;
      mustEqual(
        header.databaseBytes,
        BigInt(Buffer.concat(pieces).length),
        "the database is as long as it says",
      );
    },
  },
  {
    name: "result of a request",
    modules: ["src/storage/sqlite/result-codec.ts"],
    seeds: [
      encodeResult({ epoch: "e", revision: 5n } as never),
      '{"epoch":"e","revision":{"$int":"7"},"slot":{"versionId":{"$hex":"00ff"}}}',
    ],
    check: (input) => {
      const result = orRefused(() => decodeResult(input.toString()), damaged);
      if (result === undefined) return;
      const again = decodeResult(encodeResult(result));
      mustEqual(again, result, "a result that was written is read as it was");
    },
  },
  {
    name: "audit line",
    modules: ["src/audit/search.ts"],
    seeds: ['{"seq":1,"time":"2026-01-02T03:04:05.678Z","kind":"call","secret":"a","mac":"x"}'],
    check: (input) => {
      const text = input.toString();
      const record = parseRecord(text);
      if (record === undefined) return;
      mustEqual(record.json, text, "a record is given as it stands");
      must(Number.isFinite(record.time), "a record has a time");
    },
  },
];
