import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Keyring } from "../../src/crypto/keyring.ts";
import { readMasterKeyFile } from "../../src/crypto/master-key-file.ts";
import { SlotsError } from "../../src/domain/errors.ts";
import { verifyBackup } from "../../src/offline/backup-check.ts";
import { encryptFor } from "../../src/offline/backup-file.ts";
import { restoreBackup } from "../../src/offline/backup-restore.ts";
import { StorageOpenError } from "../../src/storage/open-error.ts";
import { ServerProcess } from "../support/server-process.ts";
import { Wire } from "../support/wire.ts";
import { failWith, replayOf } from "./support/failures.ts";
import { integrityOf } from "./support/integrity.ts";
import { Progress } from "./support/progress.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { slotsJson } from "./support/slots-command.ts";
import { StoredValues } from "./support/stored-values.ts";
import { limitMs } from "./support/time-limit.ts";

const TEARS = countOf("SLOTS_TEST_TEARS", 400);
/** Of these, each is opened to its last record. */
const RESEALED = Math.ceil(TEARS / 20);
const SECTOR = 512;
const NAMES = ["torn/a", "torn/b", "torn/c"];
const CHECKSUM = 65;

const work = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slots-torn-"));
const masterKeyFile = join(work, "master.key");
const identityFile = join(work, "identity");
const seed = seedOf("torn backups");
const random = new Random(seed);
let plain: Buffer;
let encrypted: Buffer;
let held: string;

beforeAll(async () => {
  const server = await ServerProcess.start();
  const wire = new Wire(server.address, server.adminToken);
  try {
    for (let slot = 0n; slot < 20n; slot += 1n) {
      for (const name of NAMES) await wire.put(name, slot, `${name} ${slot} `.repeat(1 + Number(slot) * 10));
    }
    const file = join(work, "whole");
    await slotsJson(["backup", "create", "-o", file], {
      SLOTS_ADDRESS: server.address,
      SLOTS_TOKEN: server.adminToken,
    });
    plain = readFileSync(file);
    writeFileSync(masterKeyFile, readFileSync(join(server.dataDir, "master.key")), { mode: 0o600 });
    held = contentsOf(server.dataDir);
  } finally {
    wire.close();
    await server.dispose();
  }
  const identity = await generateIdentity();
  writeFileSync(identityFile, `${identity}\n`);
  const pieces = await encryptFor(
    [await identityToRecipient(identity)],
    (async function* () {
      yield Uint8Array.from(plain);
    })(),
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of pieces) chunks.push(chunk);
  encrypted = Buffer.concat(chunks);
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

function contentsOf(dataDir: string): string {
  const store = StoredValues.open(dataDir, new Keyring(readMasterKeyFile(masterKeyFile)));
  if (store === undefined) throw new Error("there is no store");
  try {
    return JSON.stringify(
      NAMES.map((name) => [...store.contents(name)].map(([slot, held]) => [String(slot), held])),
    );
  } finally {
    store.close();
  }
}

/** A file as a fault of a disk, a cut copy or a bad transfer leaves it, and what was done to it. */
function torn(whole: Buffer): readonly [what: string, bytes: Buffer] {
  const at = random.below(whole.length);
  switch (random.below(5)) {
    case 0:
      return [`cut at ${at}`, whole.subarray(0, at)];
    case 1:
      return [`more behind its end`, Buffer.concat([whole, random.bytes(1 + random.below(100))])];
    case 2: {
      const bytes = Buffer.from(whole);
      const start = at - (at % SECTOR);
      bytes.fill(0, start, start + SECTOR);
      return [`sector at ${start} zeroed`, bytes];
    }
    case 3: {
      const length = 1 + random.below(Math.min(SECTOR, whole.length - at));
      return [
        `${length} bytes lost at ${at}`,
        Buffer.concat([whole.subarray(0, at), whole.subarray(at + length)]),
      ];
    }
    default:
      return flipped(whole, 0, whole.length);
  }
}

function flipped(whole: Buffer, from: number, to: number): readonly [what: string, bytes: Buffer] {
  const bytes = Buffer.from(whole);
  const at = from + random.below(to - from);
  const bit = random.below(8);
  bytes[at]! ^= 1 << bit;
  return [`bit ${bit} of byte ${at} flipped`, bytes];
}

/** Resolves to whether it was refused as what it is; anything else that goes wrong is a fault of ours. */
async function refused(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (error instanceof SlotsError || error instanceof StorageOpenError) return true;
    throw error;
  }
}

test(
  `${TEARS} torn backups are refused, and nothing of them is restored (D3, D6)`,
  async () => {
    const file = join(work, "torn");
    const progress = new Progress("torn backups", TEARS);
    for (let tear = 0; tear < TEARS; tear += 1) {
      const [kind, whole] =
        tear % 2 === 0 ? (["plain", plain] as const) : (["encrypted", encrypted] as const);
      let [what, bytes] = torn(whole);
      // Zeroes where there were zeroes tear nothing.
      while (bytes.equals(whole)) [what, bytes] = torn(whole);
      await progress.step();
      writeFileSync(file, bytes);
      const options = { file, masterKeyFile, identityFile };
      const dataDir = join(work, "restored");
      const problems: string[] = [];
      try {
        if (!(await refused(verifyBackup(options)))) problems.push("it verifies");
        if (!(await refused(restoreBackup({ ...options, dataDir })))) problems.push("it restores");
        if (readdirSync(dataDir).length > 0) problems.push(`left ${readdirSync(dataDir)}`);
      } catch (error) {
        problems.push(String(error));
      }
      if (problems.length > 0) {
        failWith("torn-backup", replayOf("torn-backup", seed), `${kind}, ${what}: ${problems.join(", ")}`);
      }
    }
  },
  limitMs(TEARS, 200),
);

test(
  `${RESEALED} backups of a database with a flipped bit are told, or restore to what it held (D3, D6)`,
  async () => {
    const file = join(work, "resealed");
    const start = plain.indexOf("\n", plain.indexOf("\n") + 1) + 1;
    const counts = { refused: 0, told: 0, harmless: 0 };
    for (let flip = 0; flip < RESEALED; flip += 1) {
      const [what, bytes] = flipped(plain, start, plain.length - CHECKSUM);
      const body = bytes.subarray(0, -CHECKSUM);
      writeFileSync(
        file,
        Buffer.concat([body, Buffer.from(`${createHash("sha256").update(body).digest("hex")}\n`)]),
      );
      const dataDir = join(work, `resealed-${flip}`);
      mkdirSync(dataDir);
      try {
        const options = { file, masterKeyFile };
        let failures = 0;
        if (
          await refused(
            verifyBackup(options).then((report) => {
              failures = report.failures.length;
            }),
          )
        )
          counts.refused += 1;
        else if (failures > 0) counts.told += 1;
        else counts.harmless += 1;
        if (await refused(restoreBackup({ ...options, dataDir }))) continue;
        if (failures > 0) throw new Error("it restores, though it does not verify");
        expect(integrityOf(dataDir)).toBe("ok");
        expect(contentsOf(dataDir)).toBe(held);
      } catch (error) {
        failWith("torn-backup", replayOf("torn-backup", seed), `resealed, ${what}: ${String(error)}`);
      } finally {
        rmSync(dataDir, { recursive: true, force: true });
      }
    }
    console.log(`${RESEALED} flips:`, counts);
    expect(counts.refused + counts.told).toBeGreaterThan(0);
  },
  limitMs(RESEALED, 2000),
);
