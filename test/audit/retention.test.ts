import { copyFileSync, readFileSync, renameSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FileAuditLog } from "../../src/audit/file-audit-log.ts";
import { LogFolder } from "./file-log.ts";
import { call } from "./records.ts";

const DAY_MS = 24 * 3_600_000;
const START = Date.UTC(2026, 0, 1);
const KEPT_DAYS = 30;

let folder: LogFolder;
let day: number;
const clock = () => START + day * DAY_MS;

beforeEach(() => {
  folder = new LogFolder();
  day = 0;
});

afterEach(() => folder.remove());

const open = () => folder.open({ clock, segmentBytes: 5000 });
const prune = (log: FileAuditLog) => log.prune(clock() - KEPT_DAYS * DAY_MS, [...folder.anchors.values()]);
const segmentsOf = (chain: string) => folder.segments.filter((file) => file.includes(chain));
const found = async () => (await folder.verify()).findings.map(({ kind }) => kind);

/** About a segment for each twenty. */
async function write(log: FileAuditLog, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await log.append(call({ requestId: `r${index}` }));
}

/** A chain of three segments that ended in order on day 0. */
async function old(): Promise<FileAuditLog> {
  const log = await open();
  await write(log, 50);
  await log.close();
  expect(segmentsOf(log.chain)).toHaveLength(3);
  return log;
}

test("whole chains go once all of their records are too old, and say so in the log", async () => {
  const { chain } = await old();
  const log = await open();
  day = KEPT_DAYS;
  expect(await prune(log)).toBe(0);
  day = KEPT_DAYS + 1;
  expect(await prune(log)).toBe(3);
  expect(segmentsOf(chain)).toEqual([]);
  expect(await found()).toEqual([]);
  const records = [];
  for await (const { fields } of log.search({})) records.push(fields);
  expect(records).toMatchObject([{ kind: "pruned", chain, segment: 3, all: true }]);
  await log.close();
  expect(await found()).toEqual([]);
});

test("a chain that goes on loses its old files, never the last, and begins a new one each day", async () => {
  const log = await open();
  await write(log, 50);
  day = 2;
  await prune(log);
  expect(segmentsOf(log.chain)).toHaveLength(4);
  day = KEPT_DAYS + 3;
  expect(await prune(log)).toBe(3);
  expect(segmentsOf(log.chain)).toHaveLength(1);
  expect(await found()).toEqual(["pruned"]);
  expect(await folder.verify()).toMatchObject({ ok: true });
  await write(log, 50);
  await log.close();
  expect(await found()).toEqual(["pruned"]);
});

test("what was said of a chain that still has files is said again before the file that says it goes", async () => {
  const killed = await open();
  await write(killed, 50);
  const log = await open();
  for (const [at, removed] of [
    [KEPT_DAYS + 1, 2],
    [2 * KEPT_DAYS + 3, 1],
    [3 * KEPT_DAYS + 5, 1],
  ] as const) {
    day = at;
    expect(await prune(log)).toBe(removed);
    // Its last file stays: nobody knows whether it still lives.
    expect(segmentsOf(killed.chain)).toHaveLength(1);
    expect((await found()).filter((kind) => kind !== "pruned")).toEqual([]);
    await write(log, 1);
    day += 1;
    await prune(log);
  }
});

test("a cut in the midst of the removal leaves a log that verifies, and is taken up again", async () => {
  const copies = new LogFolder();
  const log = await open();
  await write(log, 60);
  const files = segmentsOf(log.chain);
  expect(files).toHaveLength(4);
  for (const file of files) copyFileSync(join(folder.path, file), join(copies.path, file));
  day = KEPT_DAYS + 1;
  expect(await prune(log)).toBe(3);
  for (const at of [2, 1, 0]) {
    copyFileSync(join(copies.path, files[at]!), join(folder.path, files[at]!));
    expect(await folder.verify()).toMatchObject({ ok: true });
  }
  expect(await prune(log)).toBe(3);
  copies.remove();
});

describe("S4 holds:", () => {
  test("a file that somebody removed is missing before and after a removal of ours", async () => {
    const { chain } = await old();
    const killed = await open();
    await write(killed, 50);
    unlinkSync(join(folder.path, segmentsOf(killed.chain)[0]!));
    const log = await open();
    expect(await found()).toEqual(["segment-missing", "missing"]);
    day = KEPT_DAYS + 1;
    // One more file of that chain goes, but nothing that was said excuses the first.
    const [, second] = segmentsOf(killed.chain);
    expect(await prune(log)).toBe(4);
    expect(segmentsOf(chain)).toEqual([]);
    expect(segmentsOf(killed.chain)).toEqual([second]);
  });

  test("a file that was edited stays, as evidence, and all after it", async () => {
    const { chain } = await old();
    const file = join(folder.path, segmentsOf(chain)[1]!);
    writeFileSync(file, readFileSync(file, "utf8").replace("token:pay", "token:bad"));
    const log = await open();
    day = KEPT_DAYS + 1;
    expect(await prune(log)).toBe(1);
    expect(segmentsOf(chain)).toHaveLength(2);
    expect((await found()).sort()).toEqual(["edited", "pruned"]);
  });

  test("a file of records that are young stays, whatever its name and its dates say", async () => {
    day = KEPT_DAYS;
    const log = await open();
    await write(log, 50);
    for (const [index, file] of segmentsOf(log.chain).entries()) {
      const older = file.replace(/^\d{8}/, "20250101");
      renameSync(join(folder.path, file), join(folder.path, older));
      utimesSync(join(folder.path, older), index, index);
    }
    day = KEPT_DAYS + 1;
    expect(await prune(log)).toBe(0);
  });

  test("a chain that is gone as a whole is missing, unless it is as the log says", async () => {
    const { chain } = await old();
    const anchor = folder.anchors.get(chain)!;
    const log = await open();
    day = KEPT_DAYS + 1;
    await prune(log);
    // An older copy of the store still has the anchor.
    folder.anchors.set(chain, anchor);
    expect(await found()).toEqual([]);
    const other = await old().catch(() => undefined);
    expect(other).toBeDefined();
    for (const file of segmentsOf(other!.chain)) unlinkSync(join(folder.path, file));
    expect(await found()).toEqual(["chain-missing"]);
  });
});
