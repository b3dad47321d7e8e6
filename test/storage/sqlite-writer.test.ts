import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test, vi } from "vitest";
import { connect } from "../../src/storage/sqlite/connection.ts";
import { createStore } from "../../src/storage/sqlite/create.ts";
import { GroupWriter } from "../../src/storage/sqlite/group-writer.ts";
import { openSqliteStorage } from "../../src/storage/sqlite/open.ts";
import { Reader } from "../../src/storage/sqlite/reader.ts";
import type { StoreEvent } from "../../src/storage/sqlite/store-event.ts";
import { bytes, commitOf, committed, name, put, sealed, setState } from "../contracts/storage-commits.ts";
import { tempDir } from "./temp-dir.ts";

const BOUND = { timeout: 20_000 };

test("many callers at once share a flush", async () => {
  const storage = await openSqliteStorage({ dataDir: tempDir() });
  for (let number = 0; number < 20; number += 1) await committed(storage, put("alone", number));
  const before = storage.stats();
  expect(before).toMatchObject({ commits: 20, flushes: 20 });
  await Promise.all(
    Array.from({ length: 64 }, async (_, caller) => {
      for (let number = 0; number < 10; number += 1) await committed(storage, put(`many/${caller}`, number));
    }),
  );
  const after = storage.stats();
  const [commits, flushes] = [after.commits - before.commits, after.flushes - before.flushes];
  console.log(`64 callers: ${commits} commits in ${flushes} flushes, up to ${after.largestGroup} in one`);
  expect(commits).toBe(640);
  expect(commits / flushes).toBeGreaterThanOrEqual(8);
  await storage.close();
});

test("what is over the bound of the queue is refused at once, and there is room again later", async () => {
  const storage = await openSqliteStorage({ dataDir: tempDir(), maxWaiting: 10, maxWaitingBytes: 1000 });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 15 }, (_, number) => storage.commit(commitOf(put("a", number)))),
  );
  expect(outcomes.map((outcome) => outcome.status)).toEqual([
    ...Array.from({ length: 10 }, () => "fulfilled"),
    ...Array.from({ length: 5 }, () => "rejected"),
  ]);
  const full = expect.objectContaining({ reason: "WRITE_QUEUE_FULL", retryAfterMs: expect.any(Number) });
  expect(outcomes.at(-1)).toEqual({ status: "rejected", reason: full });
  const large = put("b", 0, { record: { ...sealed("x"), ciphertext: new Uint8Array(1001) } });
  await expect(storage.commit(commitOf(large))).rejects.toEqual(full);
  await committed(storage, put("a", 99));
  await storage.close();
  await expect(storage.commit(commitOf(put("a", 100)))).rejects.toMatchObject({ reason: "DRAINING" });
});

test("closing finishes what waits", async () => {
  const dataDir = tempDir();
  const storage = await openSqliteStorage({ dataDir });
  const waiting = Array.from({ length: 100 }, (_, number) => committed(storage, put("a", number)));
  await storage.close();
  expect(await Promise.all(waiting)).toHaveLength(100);
});

test("a destroyed, an overwritten and a deleted value are in no file once the WAL is truncated", async () => {
  const dataDir = tempDir();
  const events: StoreEvent[] = [];
  const storage = await openSqliteStorage({ dataDir, onEvent: (event) => events.push(event) });
  const canary = (text: string, length: number) => Buffer.from(bytes(`canary ${text}`, length));
  const canaries = [canary("small", 200), canary("page", 5000), canary("long", 60_000)];
  const found = () => {
    const files = ["store.db", "store.db-wal"].map((file) => readFileSync(join(dataDir, file)));
    return canaries.map((value) => {
      // Any piece of it counts: long values are spread over pages.
      const pieces = [0, 0.3, 0.6, 0.9].map((part) =>
        value.subarray(Math.floor(value.length * part)).subarray(0, 20),
      );
      return pieces.some((piece) => files.some((file) => file.includes(piece)));
    });
  };
  const versions = await Promise.all(
    canaries.map(async (ciphertext, number) => {
      const mutation = put(`c/${number}`, 0, { record: { ...sealed("x"), ciphertext } });
      await committed(storage, mutation);
      return mutation.versionId;
    }),
  );
  expect(found()).toEqual([true, true, true]);
  await Promise.all([
    committed(storage, setState("c/0", 0, "destroyed")),
    committed(storage, put("c/1", 0, { replaces: versions[1] })),
    committed(storage, { kind: "delete-secret", name: name("c/2") }),
  ]);
  await vi.waitFor(() => expect(found()).toEqual([false, false, false]), BOUND);
  await vi.waitFor(() => expect(events.at(-1)?.kind).toBe("wal-truncated"), BOUND);
  await storage.close();
});

test("a reader in the way of the truncation only puts it off, and stalls nobody", async () => {
  const dataDir = tempDir();
  const events: StoreEvent[] = [];
  const storage = await openSqliteStorage({ dataDir, onEvent: (event) => events.push(event) });
  await committed(storage, put("a", 0));
  const reader = new Database(join(dataDir, "store.db"), { readonly: true });
  reader.exec("BEGIN; SELECT * FROM store");
  await committed(storage, setState("a", 0, "destroyed"));
  const waits = () => events.filter((event) => event.kind === "wal-truncation-waits");
  // Told ever more rarely: a reader may stay for days.
  await vi.waitFor(
    () =>
      expect(
        waits()
          .map(({ attempts }) => attempts)
          .slice(0, 3),
      ).toEqual([1, 2, 4]),
    BOUND,
  );
  await committed(storage, put("a", 1));
  expect(storage.readCurrent(name("a")).slot?.slot).toBe(1n);
  reader.exec("COMMIT");
  reader.close();
  await vi.waitFor(() => expect(events.at(-1)?.kind).toBe("wal-truncated"), BOUND);
  expect(statSync(join(dataDir, "store.db-wal")).size).toBe(0);
  await storage.close();
});

test("the WAL does not grow without bound", async () => {
  const dataDir = tempDir();
  const storage = await openSqliteStorage({ dataDir });
  const ciphertext = new Uint8Array(100_000).fill(1);
  for (let round = 0; round < 30; round += 1) {
    const record = { ...sealed("x"), ciphertext };
    await Promise.all(
      Array.from({ length: 10 }, (_, n) => committed(storage, put(`r/${round}`, n, { record }))),
    );
  }
  const wal = statSync(join(dataDir, "store.db-wal")).size;
  expect(statSync(join(dataDir, "store.db")).size).toBeGreaterThan(20_000_000);
  expect(wal).toBeLessThan(16_000_000);
  await storage.close();
});

test("another process that keeps the store locked makes writes fail STORE_BUSY, and reads go on", async () => {
  const dataDir = tempDir();
  const storage = await openSqliteStorage({ dataDir, busyTimeoutMs: 200 });
  await committed(storage, put("a", 0));
  const other = new Database(join(dataDir, "store.db"));
  other.exec("BEGIN IMMEDIATE");
  await expect(storage.commit(commitOf(put("a", 1)))).rejects.toMatchObject({
    reason: "STORE_BUSY",
    retryAfterMs: expect.any(Number),
  });
  expect(storage.readCurrent(name("a")).slot?.slot).toBe(0n);
  other.exec("ROLLBACK");
  other.close();
  await committed(storage, put("a", 1));
  await storage.close();
});

/** A writer on this thread, over its own store. */
function directWriter() {
  const file = join(tempDir(), "store.db");
  createStore(file);
  const db = connect(file, 1000);
  const commit = (secret: string, number: number, length = 48) => {
    const record = { ...sealed("x"), ciphertext: new Uint8Array(length).fill(3) };
    return { kind: "commit", input: commitOf(put(secret, number, { record })) } as const;
  };
  return { file, db, commit };
}

test("a full disk fails the whole group, and the writer goes on once there is room", () => {
  const { db, commit } = directWriter();
  const writer = new GroupWriter(db);
  expect(writer.run([commit("a", 0)]).committed).toBe(true);
  const pages = Number(db.pragma("page_count", { simple: true }));
  db.pragma(`max_page_count = ${pages + 2}`);
  const outcome = writer.run([commit("a", 1), commit("a", 2, 500_000), commit("a", 3)]);
  const full = { ok: false, failure: { reason: "DISK_FULL" } };
  expect(outcome).toMatchObject({ answers: [full, full, full], committed: false });
  const reader = new Reader(db);
  expect(reader.readCurrent(name("a")).slot?.slot).toBe(0n);
  expect(reader.head().revision).toBe(1n);
  db.pragma("max_page_count = 1000000");
  expect(writer.run([commit("a", 1), commit("a", 2, 500_000)])).toMatchObject({
    answers: [{ ok: true }, { ok: true }],
    committed: true,
  });
  // A reader keeps the head until another connection commits; here the writer's own is asked.
  expect(new Reader(db).head().revision).toBe(3n);
  db.close();
});

test("a commit that breaks is undone alone; the others of its group are written (D2)", () => {
  const { db, commit } = directWriter();
  const writer = new GroupWriter(db);
  const broken = commit("b", 0);
  const request = { id: "r", digest: "not bytes" as never, expireTime: 9_000_000 };
  const outcome = writer.run([
    commit("a", 0),
    { ...broken, input: { ...broken.input, request } },
    commit("a", 1),
  ]);
  expect(outcome.answers.map((answer) => answer.ok)).toEqual([true, false, true]);
  const reader = new Reader(db);
  expect(reader.head().revision).toBe(2n);
  expect(reader.readSecret(name("b")).secret).toBeUndefined();
  db.close();
});

test("a failed flush is no answer: it is thrown, whatever the group held (D5)", () => {
  const { db, commit } = directWriter();
  for (const code of ["SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"]) {
    const failing = {
      run: () => {
        throw Object.assign(new Error("disk I/O error"), { code });
      },
    };
    const spy = vi
      .spyOn(db, "prepare")
      .mockImplementation(((sql: string) =>
        sql === "COMMIT" ? failing : Object.getPrototypeOf(db).prepare.call(db, sql)) as never);
    const writer = new GroupWriter(db);
    expect(() => writer.run([commit("a", 0)])).toThrow("disk I/O error");
    spy.mockRestore();
    db.exec("ROLLBACK");
  }
  db.close();
});

test("every connection flushes each commit, also after its first write (D1)", async () => {
  const { db, commit } = directWriter();
  new GroupWriter(db).run([commit("a", 0)]);
  expect(db.pragma("synchronous", { simple: true })).toBe(2n);
  expect(db.pragma("journal_mode", { simple: true })).toBe("wal");
  expect(db.pragma("foreign_keys", { simple: true })).toBe(1n);
  expect(db.pragma("secure_delete", { simple: true })).toBe(1n);
  db.close();
});

test("rules that SQLite enforces for us are there", () => {
  const { db } = directWriter();
  const plans = (sql: string) =>
    (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map((row) => row.detail);
  expect(
    plans(
      "SELECT * FROM slots WHERE secret_id = 1 AND state = 'enabled' AND slot <= 5 ORDER BY slot DESC LIMIT 1",
    ),
  ).toEqual(["SEARCH slots USING INDEX slots_enabled (secret_id=? AND slot<?)"]);
  const tables = db.prepare(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND strict = 0 AND name NOT LIKE 'sqlite_%'",
  );
  expect(tables.all()).toEqual([]);
  db.close();
});
