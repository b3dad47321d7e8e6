import { readdirSync, readlinkSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AuditAnchor, AuditState } from "../../src/audit/audit-log.ts";
import type { Revision } from "../../src/domain/numbers.ts";
import { FailingFiles, LogFolder, until } from "./file-log.ts";
import { call, found } from "./records.ts";

let folder: LogFolder;

beforeEach(() => {
  folder = new LogFolder();
});

afterEach(() => folder.remove());

test("files are their owner's alone, and an empty log verifies", async () => {
  const log = await folder.open({ directory: join(folder.path, "new", "log") });
  await log.close();
  expect(statSync(join(folder.path, "new", "log")).mode & 0o777).toBe(0o700);
  await (await folder.open()).close();
  const [file] = folder.segments;
  expect(statSync(join(folder.path, file!)).mode & 0o777).toBe(0o600);
  const report = await folder.verify();
  expect(report.findings.filter(({ kind }) => kind !== "chain-missing")).toEqual([]);
  expect(report.chains).toMatchObject([{ segments: 1, records: 2, closed: true }]);
});

test("a turn's records are one write", async () => {
  const fs = new FailingFiles();
  const log = await folder.open({ fs });
  const before = fs.writes;
  await Promise.all(Array.from({ length: 200 }, () => log.append(call())));
  expect(fs.writes - before).toBe(1);
  await log.close();
});

test("segments follow each other, and the chain goes on through them", async () => {
  const log = await folder.open({ segmentBytes: 5000 });
  for (let index = 0; index < 200; index++) await log.append(call({ requestId: `r${index}` }));
  await log.close();
  expect(folder.segments.length).toBeGreaterThan(5);
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
  const ids = (await found(log)).map(({ fields }) => fields.request_id);
  expect(ids).toEqual(Array.from({ length: 200 }, (_, index) => `r${index}`));
  const newest = await found(log, { limit: 30 });
  expect(newest.map(({ fields }) => fields.request_id)).toEqual(ids.slice(-30));
});

test("search passes over segments by time, also when the clock was set back", async () => {
  let now = 1_000_000;
  const log = await folder.open({ segmentBytes: 2000, clock: () => now });
  for (const time of [1_000_000, 2_000_000, 3_000_000, 1_500_000, 1_600_000, 4_000_000]) {
    now = time;
    for (let index = 0; index < 20; index++) await log.append(call());
  }
  await log.close();
  expect(folder.segments.length).toBeGreaterThan(6);
  expect(await found(log, { start: 2_000_000 })).toHaveLength(60);
  expect(await found(log, { start: 1_500_000, end: 2_000_000 })).toHaveLength(40);
  expect((await found(log, { limit: 30 })).map(({ time }) => time)).toEqual([
    ...Array(10).fill(3_000_000),
    ...Array(20).fill(4_000_000),
  ]);
});

test("search can pass over the files of processes that ended long ago", async () => {
  const long = 1_000_000_000;
  const before = await folder.open({ clock: () => long });
  await before.append(call({ requestId: "before" }));
  await before.close();
  for (const file of folder.segments) utimesSync(join(folder.path, file), new Date(long), new Date(long));
  const now = await folder.open();
  await now.append(call({ requestId: "now" }));
  const ids = async (writtenSince?: number) =>
    (await found(now, { writtenSince })).map(({ fields }) => fields.request_id);
  expect(await ids()).toEqual(["before", "now"]);
  expect(await ids(long + 1)).toEqual(["now"]);
  await now.close();
});

test("a restart begins a new chain; search sees all chains in order of time", async () => {
  let now = 1_000_000;
  const clock = () => ++now;
  const first = await folder.open({ clock });
  await first.append(call({ requestId: "1" }));
  const second = await folder.open({ clock });
  await second.append(call({ requestId: "2" }));
  await first.append(call({ requestId: "3" }));
  await first.close();
  await second.close();
  expect(first.chain).not.toBe(second.chain);
  expect((await found(second)).map(({ fields }) => fields.request_id)).toEqual(["1", "2", "3"]);
  expect((await found(second, { limit: 2 })).map(({ fields }) => fields.request_id)).toEqual(["2", "3"]);
  const report = await folder.verify();
  expect(report).toMatchObject({ ok: true, findings: [] });
  expect(report.chains).toHaveLength(2);
});

test("a search that nobody listens to any more leaves no file open", async () => {
  const logs = [await folder.open(), await folder.open()];
  for (const log of logs) for (let index = 0; index < 3; index++) await log.append(call());
  await Promise.all(logs.map((log) => log.close()));
  for await (const _record of logs[0]!.search({})) break;
  expect(openFiles().filter((file) => file.startsWith(folder.path))).toEqual([]);
});

function openFiles(): readonly string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(join("/proc/self/fd", fd))];
    } catch {
      return [];
    }
  });
}

test("follow crosses segments and chains", async () => {
  const log = await folder.open({ segmentBytes: 2000 });
  const stop = new AbortController();
  const seen: unknown[] = [];
  const following = (async () => {
    for await (const { fields } of log.search({ follow: true, signal: stop.signal }))
      seen.push(fields.request_id);
  })();
  const expected: string[] = [];
  const write = async (to: typeof log, from: number) => {
    for (let index = from; index < from + 30; index++) {
      expected.push(`r${index}`);
      await to.append(call({ requestId: `r${index}` }));
    }
    await until(() => seen.length === expected.length);
  };
  await write(log, 0);
  const other = await folder.open();
  await write(other, 100);
  await write(log, 200);
  expect(seen).toEqual(expected);
  stop.abort();
  await following;
  await log.close();
  await other.close();
});

test("the head is anchored at the start, while records come, and at the end", async () => {
  const anchors: AuditAnchor[] = [];
  let revision = 0n;
  const log = await folder.open({
    anchorIntervalMs: 20,
    covered: () => revision as Revision,
    anchor: async (anchor) => {
      anchors.push(anchor);
    },
  });
  expect(anchors).toMatchObject([{ chain: log.chain, records: 1n, closed: false }]);
  revision = 7n;
  await log.append(call());
  await until(() => anchors.length === 2);
  expect(anchors[1]).toMatchObject({ records: 2n, revision: 7n, closed: false });
  expect(anchors[1]!.head).toHaveLength(32);
  await log.close();
  expect(anchors.at(-1)).toMatchObject({ records: 3n, closed: true });
});

test("an anchor that can't be kept is tried again", async () => {
  const failures: unknown[] = [];
  let failing = false;
  const log = await folder.open({
    anchorIntervalMs: 10,
    anchor: async (anchor) => {
      if (failing) throw new Error("store is down");
      folder.anchors.set(anchor.chain, anchor);
    },
    onAnchorError: (cause) => failures.push(cause),
  });
  failing = true;
  await log.append(call());
  await until(() => failures.length >= 3);
  failing = false;
  await until(() => folder.anchors.get(log.chain)?.records === 2n);
  await log.close();
});

test.each([0, 1, 100, 10_000])("a write that fails after %i bytes leaves no trace", async (partial) => {
  const fs = new FailingFiles();
  const log = await folder.open({ fs });
  await log.append(call({ requestId: "before" }));
  fs.writeError = "EIO";
  fs.partial = partial;
  await expect(log.append(call({ requestId: "lost" }))).rejects.toThrow("can't be written");
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
  fs.writeError = undefined;
  await log.append(call({ requestId: "after" }));
  await log.close();
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
  expect((await found(log)).map(({ fields }) => fields.request_id)).toEqual(["before", "after"]);
});

test("while the remains of a failed write can't be cut off, nothing is written behind them", async () => {
  const fs = new FailingFiles();
  const log = await folder.open({ fs });
  fs.writeError = "EIO";
  fs.truncateError = "EIO";
  fs.partial = 50;
  await expect(log.append(call())).rejects.toMatchObject({ reason: "AUDIT_UNAVAILABLE" });
  expect((await folder.verify()).findings.map(({ kind }) => kind)).toEqual(["torn"]);
  fs.writeError = undefined;
  await expect(log.append(call())).rejects.toMatchObject({ reason: "AUDIT_UNAVAILABLE" });
  fs.truncateError = undefined;
  await log.append(call({ requestId: "after" }));
  await log.close();
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
});

test("D5: a failed flush is fatal, and nothing is written after it", async () => {
  const fs = new FailingFiles();
  const onFatal = vi.fn();
  const states: AuditState[] = [];
  const log = await folder.open({ fs, sync: "fsync", onFatal, onState: (state) => states.push(state) });
  fs.syncError = "EIO";
  await expect(log.append(call())).rejects.toMatchObject({ reason: "AUDIT_UNAVAILABLE" });
  expect(onFatal).toHaveBeenCalledOnce();
  fs.syncError = undefined;
  await expect(log.append(call())).rejects.toMatchObject({ reason: "AUDIT_UNAVAILABLE" });
  expect(states).toEqual(["unavailable"]);
  await log.close();
});

test("D5: a flush that fails at the end is fatal, too", async () => {
  const fs = new FailingFiles();
  const onFatal = vi.fn();
  const log = await folder.open({ fs, onFatal });
  await log.append(call());
  fs.syncError = "EIO";
  await expect(log.close()).rejects.toMatchObject({ reason: "AUDIT_UNAVAILABLE" });
  expect(onFatal).toHaveBeenCalledOnce();
});

test("D5: a flush of the folder that fails when the next file begins is fatal", async () => {
  const fs = new FailingFiles();
  const onFatal = vi.fn();
  const log = await folder.open({ fs, onFatal, segmentBytes: 1 });
  await log.append(call());
  fs.folderSyncError = "EIO";
  await log.append(call()).catch(() => undefined);
  expect(onFatal).toHaveBeenCalledOnce();
  await log.close().catch(() => undefined);
});

test("a log that can't be begun says where", async () => {
  const fs = new FailingFiles();
  fs.writeError = "EIO";
  await expect(folder.open({ fs })).rejects.toThrow(`the audit log in ${folder.path} can't be begun`);
  expect(folder.segments).toEqual([]);
});
