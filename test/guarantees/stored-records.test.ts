import {
  cpSync,
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
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { chainKey } from "../../src/audit/chain.ts";
import { isTampering } from "../../src/audit/finding.ts";
import { verifyAudit } from "../../src/audit/verify.ts";
import { Keyring } from "../../src/crypto/keyring.ts";
import { readMasterKeyFile } from "../../src/crypto/master-key-file.ts";
import { SlotsError } from "../../src/domain/errors.ts";
import { StorageOpenError } from "../../src/storage/open-error.ts";
import { ServerProcess } from "../support/server-process.ts";
import { Wire } from "../support/wire.ts";
import { damage } from "./fuzz/damage.ts";
import { failWith, replayOf } from "./support/failures.ts";
import { Progress } from "./support/progress.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { StoredValues } from "./support/stored-values.ts";
import { limitMs } from "./support/time-limit.ts";

/*
 * Every kind of record that a store keeps, changed field by field behind SQLite's back: its own checks of pages and
 * indexes find nothing wrong. Opened again, a record is refused or is as it was (D3).
 */

const RECORDS = countOf("SLOTS_TEST_RECORDS", 3000);
const LOG_EDITS = countOf("SLOTS_TEST_LOG_EDITS", 600);
const NAMES = ["stored/a", "stored/b", "stored/c"];
const NUMBERS = [0n, 3n, 5n, 9n];

let dataDir: string;
let work: string;

beforeAll(async () => {
  work = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slots-records-"));
  dataDir = join(work, "data");
  const server = await ServerProcess.start({ dataDir });
  const wire = new Wire(server.address, server.adminToken);
  const { disableSlot, destroySlot, updateSecret, deleteSecret } = SecretService.method;
  for (const name of NAMES) {
    for (const slot of NUMBERS)
      await wire.put(name, slot, `${name} ${slot}`, { requestId: `${name}-${slot}` });
    await wire.call(updateSecret, {
      ...{ name, comment: "a comment", labels: { team: "a" } },
      updateMask: { paths: ["comment", "labels"] },
    });
  }
  await wire.call(disableSlot, { name: "stored/b", slot: 9n });
  await wire.call(destroySlot, { name: "stored/c", slot: 5n });
  await wire.put("stored/gone", 1n, "gone");
  await wire.call(deleteSecret, { name: "stored/gone" });
  await wire.createToken("token:reader", Date.now() + 3_600_000);
  await wire.call(AdminService.method.applyPolicies, {
    policies: [
      { name: "readers", rules: [{ actions: [1], names: ["stored/*"] }], principals: ["token:reader"] },
      { name: "writers", rules: [{ actions: [4], names: ["stored/a"] }], groups: ["writers"] },
    ],
  });
  wire.close();
  expect((await server.stop()).code).toBe(0);
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A refusal, in the house's own words. Anything else would be INTERNAL to a caller, or the end of the process. */
function isRefusal(error: unknown): boolean {
  if (error instanceof StorageOpenError) return true;
  return error instanceof SlotsError && (error.code === "DATA_LOSS" || error.reason === "KEY_NOT_LOADED");
}

type Answers = Map<string, string>;

/** Everything that can be read of a store, each for itself: what it is, or "refused". */
function readAll(folder: string): Answers {
  const keyring = new Keyring(readMasterKeyFile(join(folder, "master.key")));
  const store = StoredValues.open(folder, keyring);
  if (store === undefined) throw new Error("there is no store");
  const answers: Answers = new Map();
  const ask = (what: string, read: () => unknown) => {
    let answer: string;
    try {
      answer =
        JSON.stringify(read(), (_, each) => (typeof each === "bigint" ? `${each}` : each)) ?? "nothing";
    } catch (error) {
      if (!isRefusal(error)) throw error;
      answer = "refused";
    }
    answers.set(what, answer);
  };
  const { reader, storeId } = store;
  try {
    for (const name of NAMES) {
      for (const number of NUMBERS) {
        ask(`value ${name} ${number}`, () => {
          const value = store.effectiveAt(name, number);
          return value === "damaged" ? "refused" : value;
        });
      }
      ask(`slots of ${name}`, () => [...store.contents(name)]);
      ask(`secret ${name}`, () => reader.readSecret(name as never).secret);
      ask(`current of ${name}`, () => reader.readCurrent(name as never).slot?.slot);
    }
    ask("tombstone", () => reader.readSecret("stored/gone" as never).deletedRevision);
    ask("secrets", () => reader.listSecrets({ from: "" }, 100).secrets);
    ask("changes", () => reader.changesAfter(0n as never, 100).changes);
    ask("policies", () => reader.readPolicies());
    ask("tokens", () => reader.listTokens(undefined, 100).tokens);
    ask("master keys", () => reader.masterKeys());
    ask("anchors", () => reader.auditAnchors());
    for (const record of reader.storeKeys()) {
      ask(`key ${record.purpose}`, () => Buffer.from(keyring.openStoreKey(storeId, record)).toString("hex"));
    }
    for (const name of NAMES) {
      for (const number of NUMBERS) {
        ask(`request ${name} ${number}`, () =>
          reader.findRequest("token:admin", "PutSlot", `${name}-${number}`),
        );
      }
    }
  } finally {
    store.close();
  }
  return answers;
}

interface Column {
  readonly table: string;
  readonly column: string;
  readonly type: string;
}

/** Every column of every table. */
function columnsOf(file: string): readonly Column[] {
  const db = new Database(file, { readonly: true });
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[];
  const columns = tables.flatMap((table) =>
    (db.pragma(`table_info(${table})`) as { name: string; type: string }[]).map(({ name, type }) => ({
      ...{ table, column: name, type },
    })),
  );
  db.close();
  return columns;
}

/** Changes one field of one row. Says what was done, or undefined when nothing was different after it. */
function changeOne(file: string, { table, column, type }: Column, random: Random): string | undefined {
  const db = new Database(file);
  try {
    db.defaultSafeIntegers(true);
    db.pragma("foreign_keys = OFF");
    db.pragma("ignore_check_constraints = ON");
    const values = db.prepare(`SELECT ${column} FROM ${table}`).pluck().all() as (
      | string
      | bigint
      | Buffer
      | null
    )[];
    if (values.length === 0) return undefined;
    const row = random.below(values.length);
    const before = values[row]!;
    const after = random.chance(0.25) ? random.pick(values) : changed(before, type, random);
    const same = (a: unknown) => (Buffer.isBuffer(a) ? a.toString("hex") : a);
    if (same(after) === same(before) || after === undefined) return undefined;
    const key = table === "requests" || table === "tombstones" ? undefined : "rowid";
    const where =
      key === undefined ? `${column} IS ?` : `rowid = (SELECT rowid FROM ${table} LIMIT 1 OFFSET ?)`;
    db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(
      after,
      key === undefined ? before : row,
    );
    return `${table}.${column} of row ${row}: ${String(same(before))} became ${String(same(after))}`;
  } catch (error) {
    // A value that is there already, or that its column may not have.
    if (error instanceof Database.SqliteError && /^SQLITE_(?:CONSTRAINT|MISMATCH)/.test(error.code))
      return undefined;
    throw error;
  } finally {
    db.close();
  }
}

const NUMBERS_OF_NOTE = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];

function changed(value: string | bigint | Buffer | null, type: string, random: Random) {
  if (random.chance(0.05)) return null;
  if (type === "INTEGER") {
    const number = typeof value === "bigint" ? value : 0n;
    return random.chance(0.5)
      ? BigInt.asIntN(64, number ^ (1n << BigInt(random.below(64))))
      : random.pick(NUMBERS_OF_NOTE);
  }
  const bytes = damage(Buffer.from(value === null ? "" : (value as string)), random.bytes(12), random);
  return type === "BLOB" ? bytes : bytes.toString();
}

/** What has no checksum of its own: where it is wrong, that is found where it is used. */
const UNSUMMED = /^(?:requests|tombstones|audit_anchors|master_keys)\./;

test(
  `${RECORDS} changed fields of stored records are refused or harmless, and never read as another value (D3)`,
  async () => {
    const seed = seedOf("stored records");
    const random = new Random(seed);
    const whole = readFileSync(join(dataDir, "store.db"));
    const truth = readAll(dataDir);
    expect([...truth.values()].filter((answer) => answer === "refused")).toEqual([]);
    const columns = columnsOf(join(dataDir, "store.db"));
    const copy = join(work, "copy");
    mkdirSync(copy, { mode: 0o700 });
    cpSync(join(dataDir, "master.key"), join(copy, "master.key"));
    const file = join(copy, "store.db");
    const counts = { "refused to open": 0, refused: 0, harmless: 0 };
    const touched = new Set<string>();
    const progress = new Progress("changed fields", RECORDS);
    let done = 0;
    // Each column in turn: none is left out. A change that changes nothing does not count.
    for (let tries = 0; done < RECORDS && tries < 10 * RECORDS; tries += 1) {
      writeFileSync(file, whole);
      const column = columns[tries % columns.length]!;
      const what = changeOne(file, column, random);
      if (what === undefined) continue;
      done += 1;
      await progress.step();
      const place = `${column.table}.${column.column}`;
      touched.add(place);
      const fail = (problem: string): never =>
        failWith("record", replayOf("stored-records", seed), `${what}\n${problem}`);
      let answers: Answers;
      try {
        answers = readAll(copy);
      } catch (error) {
        if (!isRefusal(error)) fail(`opening it: ${(error as Error).stack}`);
        counts["refused to open"] += 1;
        continue;
      }
      let refused = false;
      for (const [question, answer] of answers) {
        if (answer === "refused" || answer === '"refused"') refused = true;
        else if (answer !== truth.get(question) && !mayDiffer(question, answer, truth, place)) {
          fail(`${question} reads ${answer}, and was ${truth.get(question)}`);
        }
      }
      counts[refused ? "refused" : "harmless"] += 1;
    }
    console.log(`${done} changed fields in ${touched.size} of ${columns.length} columns:`, counts);
    expect(done).toBe(RECORDS);
    if (RECORDS < 10 * columns.length) return;
    expect([...touched].sort()).toEqual(columns.map(({ table, column }) => `${table}.${column}`).sort());
    expect(counts.refused).toBeGreaterThan(0);
    expect(counts["refused to open"]).toBeGreaterThan(0);
  },
  limitMs(RECORDS, 300),
);

/**
 * A row that is not found any more, since what it is found by was changed, reads as one that is not there; that is
 * outside of what a seal can tell (S2). A value that is read must have been that slot's.
 */
function mayDiffer(question: string, answer: string, truth: Answers, place: string): boolean {
  if (UNSUMMED.test(place)) return !question.startsWith("value") && !question.startsWith("slots of");
  if (question.startsWith("value")) {
    const name = question.split(" ")[1];
    const real = [...truth].filter(([other]) => other.startsWith(`value ${name} `)).map(([, value]) => value);
    return answer === '"nothing"' || real.includes(answer);
  }
  return FOUND_BY.test(place);
}

/** What rows are found by, sorted by or counted by. */
const FOUND_BY =
  /\.(?:name|slot|state|secret_id|row_id|revision|token_id|hash|create_time|purpose|key_id|current_slot)$/;

test(
  `${LOG_EDITS} edits of the audit log's files are all found (S4)`,
  async () => {
    const seed = seedOf("edits of the log");
    const random = new Random(seed);
    const audit = join(dataDir, "audit");
    const files = readdirSync(audit).filter((file) => file.endsWith(".jsonl"));
    expect(files.length).toBeGreaterThan(0);
    const keyring = new Keyring(readMasterKeyFile(join(dataDir, "master.key")));
    const store = StoredValues.open(dataDir, keyring);
    if (store === undefined) throw new Error("there is no store");
    const anchors = store.reader.auditAnchors();
    const [record] = store.reader.storeKeys().filter(({ purpose }) => purpose === "audit");
    const key = keyring.openStoreKey(store.storeId, record!);
    store.close();
    const verify = (directory: string) =>
      verifyAudit({ directory, anchors, keyOfChain: (chain) => chainKey(key, chain) });
    expect((await verify(audit)).findings).toEqual([]);
    const auditDir = join(work, "edited");
    const progress = new Progress("edits", LOG_EDITS);
    for (let edit = 0; edit < LOG_EDITS; ) {
      const file = random.pick(files);
      const before = readFileSync(join(audit, file));
      const lines = before.toString("latin1").split("\n");
      const other = Buffer.from(`${random.pick(lines)}\n`, "latin1");
      const after = damage(before, other, random);
      // What left everything as it was is no edit.
      if (after.equals(before)) continue;
      edit += 1;
      await progress.step();
      rmSync(auditDir, { recursive: true, force: true });
      cpSync(audit, auditDir, { recursive: true });
      writeFileSync(join(auditDir, file), after);
      const { ok, findings } = await verify(auditDir);
      if (!ok && findings.some(isTampering)) continue;
      failWith(
        "log-edit",
        replayOf("stored-records", seed),
        `edit ${edit} of ${file} was not found: ${before.length} bytes became ${after.length}\n${JSON.stringify(findings)}`,
      );
    }
  },
  limitMs(LOG_EDITS, 300),
);
