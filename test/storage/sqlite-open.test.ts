import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { StorageOpenError } from "../../src/storage/open-error.ts";
import { inspectStore } from "../../src/storage/sqlite/inspect.ts";
import { openSqliteStorage } from "../../src/storage/sqlite/open.ts";
import { restoreStoreFile } from "../../src/storage/sqlite/restore.ts";
import {
  bytes,
  committed,
  name,
  plain,
  put,
  revision,
  setState,
  slot,
} from "../contracts/storage-commits.ts";
import { everything } from "../contracts/storage-model.ts";
import { StoreProcess } from "./store-process.ts";
import { tempDir } from "./temp-dir.ts";

/** Every file of a directory with a digest of its content. */
function contentOf(dir: string): Record<string, string> {
  const digest = (file: string) =>
    createHash("sha256")
      .update(readFileSync(join(dir, file)))
      .digest("hex");
  return Object.fromEntries(readdirSync(dir).map((file) => [file, digest(file)]));
}

async function filledStore(): Promise<string> {
  const dataDir = tempDir();
  const storage = await openSqliteStorage({ dataDir });
  await storage.addMasterKeys([{ keyId: "key-1", primary: true, check: bytes("check", 40), createTime: 5 }]);
  for (let number = 0; number < 40; number += 1) await committed(storage, put("a", number));
  await storage.close();
  return dataDir;
}

async function refusal(dataDir: string): Promise<string> {
  const error: unknown = await openSqliteStorage({ dataDir }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StorageOpenError);
  const { message, file } = error as StorageOpenError;
  expect(message.startsWith(`${file}: `)).toBe(true);
  expect(message).not.toContain("\n");
  return message;
}

test("what was committed is there after closing and opening again", async () => {
  const dataDir = tempDir();
  const first = await openSqliteStorage({ dataDir });
  await committed(first, put("a", 1));
  await committed(first, put("a", 2));
  await committed(first, setState("a", 1, "destroyed"));
  const before = { identity: first.identity, head: first.head(), all: await everything(first) };
  await first.close();
  expect(readdirSync(dataDir).sort()).toEqual(["store.bell", "store.db"]);
  const second = await openSqliteStorage({ dataDir });
  expect({ identity: second.identity, head: second.head(), all: await everything(second) }).toEqual(before);
  await second.close();
});

test("every file is for its owner alone", async () => {
  const dataDir = join(tempDir(), "new");
  const storage = await openSqliteStorage({ dataDir });
  await committed(storage, put("a", 1));
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  expect(readdirSync(dataDir).sort()).toEqual(["store.bell", "store.db", "store.db-shm", "store.db-wal"]);
  for (const file of readdirSync(dataDir)) expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
  await storage.close();
});

test("a store is made only where that is wanted", async () => {
  const dataDir = tempDir();
  await expect(openSqliteStorage({ dataDir, create: false })).rejects.toThrow("there is no store");
  expect(readdirSync(dataDir)).toEqual([]);
});

test("two that make the store at a time use the same one", async () => {
  const dataDir = tempDir();
  const [first, second] = await Promise.all([openSqliteStorage({ dataDir }), openSqliteStorage({ dataDir })]);
  expect(first.identity).toEqual(second.identity);
  await committed(first, put("a", 0));
  await committed(second, put("a", 1));
  expect(first.head()).toEqual(second.head());
  await Promise.all([first.close(), second.close()]);
  expect(readdirSync(dataDir).sort()).toEqual(["store.bell", "store.db"]);
});

test("a look tells what a start needs to know", async () => {
  expect(inspectStore(join(tempDir(), "nowhere"))).toBeUndefined();
  const dataDir = await filledStore();
  const inspection = inspectStore(dataDir);
  expect(inspection).toMatchObject({ schemaVersion: 1, head: { revision: 40n } });
  expect(plain(inspection?.masterKeys)).toEqual(
    plain([{ keyId: "key-1", primary: true, check: bytes("check", 40), createTime: 5 }]),
  );
});

test("a look leaves a store that was closed byte for byte as it is", async () => {
  const dataDir = await filledStore();
  const before = contentOf(dataDir);
  inspectStore(dataDir);
  expect(contentOf(dataDir)).toEqual(before);
});

test("a look leaves the database and WAL of a killed process byte for byte as they are", async () => {
  const dataDir = tempDir();
  const writer = await StoreProcess.start(dataDir);
  await writer.put("a", 0n);
  await writer.put("a", 1n);
  await writer.kill();
  const pick = ({ "store.db": db, "store.db-wal": wal }: Record<string, string>) => ({ db, wal });
  const before = pick(contentOf(dataDir));
  expect(statSync(join(dataDir, "store.db-wal")).size).toBeGreaterThan(0);
  expect(inspectStore(dataDir)?.head.revision).toBe(2n);
  expect(pick(contentOf(dataDir))).toEqual(before);
  rmSync(join(dataDir, "store.db-shm"));
  expect(inspectStore(dataDir)?.head.revision).toBe(2n);
  expect(pick(contentOf(dataDir))).toEqual(before);
  const storage = await openSqliteStorage({ dataDir });
  expect(storage.readCurrent(name("a")).slot?.slot).toBe(1n);
  await storage.close();
});

test("what can't be used is refused, and left as it is", async () => {
  const cases: [string, (dataDir: string, file: string) => void, RegExp][] = [
    ["newer", (_, file) => edit(file, "PRAGMA user_version = 99"), /schema version 99.*newer version/],
    ["foreign", (_, file) => edit(file, "PRAGMA application_id = 1"), /not a store of ours/],
    ["empty", (_, file) => truncateSync(file, 0), /is empty: restore it/],
    ["cut in a page", (_, file) => truncateSync(file, statSync(file).size - 5000), /cut short|damaged/],
    ["cut to a page", (_, file) => truncateSync(file, 4096), /cut short|damaged/],
    ["cut to its header", (_, file) => truncateSync(file, 90), /not a database|damaged|cut short/],
    ["other content", (_, file) => writeFileSync(file, "no database at all\n".repeat(500)), /not a database/],
    [
      "a directory",
      (_, file) => {
        rmSync(file);
        mkdirSync(file);
      },
      /can't be opened/,
    ],
    [
      "gone",
      (dataDir, file) => {
        rmSync(file);
        writeFileSync(join(dataDir, "store.db-wal"), "something");
      },
      /is missing, but/,
    ],
  ];
  for (const [what, spoil, message] of cases) {
    const dataDir = await filledStore();
    const file = join(dataDir, "store.db");
    spoil(dataDir, file);
    const isFile = existsSync(file) && statSync(file).isFile();
    const before = isFile ? contentOf(dataDir) : undefined;
    expect(await refusal(dataDir), what).toMatch(message);
    if (before !== undefined) expect(contentOf(dataDir), what).toEqual(before);
  }
}, 60_000);

function edit(file: string, sql: string): void {
  const db = new Database(file);
  db.exec(sql);
  db.close();
}

test("a damaged row is refused alone, and never read as something else", async () => {
  const dataDir = await filledStore();
  const open = await openSqliteStorage({ dataDir });
  await committed(open, put("b", 0));
  await committed(open, put("c", 0));
  await committed(open, put("d", 0));
  await open.close();
  const file = join(dataDir, "store.db");
  const idOf = (secret: string) => `(SELECT secret_id FROM secrets WHERE name = '${secret}')`;
  edit(file, "UPDATE slots SET slot = 41 WHERE slot = 38");
  edit(file, "UPDATE secrets SET current_slot = 7 WHERE name = 'b'");
  edit(file, `UPDATE slots SET state = 'disabled' WHERE secret_id = ${idOf("d")}`);
  const storage = await openSqliteStorage({ dataDir });
  const damaged = expect.objectContaining({ reason: "RECORD_DAMAGED" });
  expect(() => storage.readEffectiveAt(name("a"), slot(50))).toThrow(damaged);
  expect(() => storage.readSlot(name("a"), slot(41))).toThrow(damaged);
  expect(() => storage.readCurrent(name("b"))).toThrow(damaged);
  expect(() => storage.readCurrent(name("d"))).toThrow(damaged);
  expect(storage.readCurrent(name("a")).slot?.slot).toBe(39n);
  expect(storage.readCurrent(name("c")).slot?.slot).toBe(0n);
  await expect(storage.commit({ ...commitTo("b") })).rejects.toThrow(damaged);
  await committed(storage, put("c", 1));
  await storage.close();

  function commitTo(secret: string) {
    const mutation = put(secret, 9);
    return { commitId: bytes("x"), time: 1, principal: "p", rpc: "r", mutation };
  }
});

test("a backup under load is a state that the store had, and restores to it with a new epoch", async () => {
  const dataDir = await filledStore();
  const storage = await openSqliteStorage({ dataDir });
  let stop = false;
  const load = Promise.all(
    Array.from({ length: 4 }, async (_, writer) => {
      for (let number = 0; !stop; number += 1) await committed(storage, put(`load/${writer}`, number));
    }),
  );
  const copy = join(tempDir(), "backup.db");
  const seen: [number, number][] = [];
  const head = await storage.backupTo(copy, (done, total) => seen.push([done, total]));
  stop = true;
  await load;
  expect(seen.at(-1)?.[0]).toBe(seen.at(-1)?.[1]);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  await expect(storage.backupTo(copy)).rejects.toThrow("EEXIST");

  const restoredDir = join(tempDir(), "restored");
  const restored = restoreStoreFile(copy, restoredDir);
  expect(restored.storeId).toBe(storage.identity.storeId);
  expect(restored.head).toMatchObject({ revision: head.revision, accessRevision: head.accessRevision });
  expect(restored.head.epoch).not.toBe(head.epoch);
  expect(() => restoreStoreFile(copy, restoredDir)).toThrow(/is there already/);
  const again = await openSqliteStorage({ dataDir: restoredDir });
  expect(again.head()).toEqual(restored.head);
  const kept = (changes: typeof storage) =>
    plain(changes.changesAfter(revision(0), 100_000).changes.filter((c) => c.revision <= head.revision));
  expect(kept(again)).toEqual(kept(storage));
  for (const { revision: made, name: secret, slot: number } of again.changesAfter(revision(0), 100_000)
    .changes) {
    expect(again.readSlot(secret!, number!).slot?.revision).toBe(made);
  }
  await committed(again, put("a", 1000));
  await Promise.all([again.close(), storage.close()]);
}, 60_000);

test("a file that is no backup is not restored", () => {
  const file = join(tempDir(), "notes.txt");
  writeFileSync(file, "remember the milk\n".repeat(300));
  const dataDir = join(tempDir(), "restored");
  expect(() => restoreStoreFile(file, dataDir)).toThrow(/not a database/);
  expect(() => restoreStoreFile(`${file}.gone`, dataDir)).toThrow(/no such file/);
  expect(readdirSync(dataDir)).toEqual([]);
});
