import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AuditState } from "../../src/audit/audit-log.ts";
import { FailingFiles, LogFolder, until } from "./file-log.ts";
import { call, found } from "./records.ts";

const MEBIBYTE = 1 << 20;
/** About 1 kB a record. */
const LONG = call({ subject: "x".repeat(900) });

let folder: LogFolder;
let fs: FailingFiles;

beforeEach(() => {
  folder = new LogFolder();
  fs = new FailingFiles();
});

afterEach(() => folder.remove());

const pieces = () => readdirSync(folder.path).filter((file) => /^reserve-\d\d$/.test(file));

test("the reserve is made beside the log, whole and readable by its owner alone", async () => {
  const log = await folder.open({ reserveBytes: 3 * MEBIBYTE });
  await until(() => pieces().length === 3);
  await log.close();
  for (const piece of pieces()) {
    const { size, blocks, mode } = statSync(join(folder.path, piece));
    expect([size, mode & 0o777]).toEqual([MEBIBYTE, 0o600]);
    expect(blocks * 512).toBeGreaterThanOrEqual(MEBIBYTE);
  }
  expect(readdirSync(folder.path).filter((file) => file.endsWith(".new"))).toEqual([]);
});

test("D4: with the disk full the log lives on its reserve, then refuses, then goes on by itself", async () => {
  const states: AuditState[] = [];
  const log = await folder.open({ fs, reserveBytes: 2 * MEBIBYTE, onState: (state) => states.push(state) });
  await until(() => pieces().length === 2);
  await log.append(LONG);
  fs.full = true;
  let kept = 1;
  for (;;) {
    try {
      await log.append(LONG);
      kept += 1;
    } catch (cause) {
      expect(cause).toMatchObject({ reason: "AUDIT_UNAVAILABLE", code: "UNAVAILABLE" });
      break;
    }
    expect(log.state).toBe("reserve");
    if (kept === 100) expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
  }
  // Two pieces of a mebibyte, a record of a kilobyte.
  expect(kept).toBeGreaterThan(1700);
  expect(pieces()).toEqual([]);
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });

  fs.full = false;
  await log.append(LONG);
  expect(log.state).not.toBe("unavailable");
  await log.close();
  expect(states.slice(0, 3)).toEqual(["reserve", "unavailable", "reserve"]);
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
  expect(await found(log)).toHaveLength(kept + 1);
});

test("once there is room again the reserve is made anew and the log leaves it", async () => {
  let now = 1_000_000;
  const log = await folder.open({ fs, reserveBytes: MEBIBYTE, anchorIntervalMs: 5, clock: () => now });
  await until(() => pieces().length === 1);
  fs.full = true;
  await log.append(LONG);
  expect(log.state).toBe("reserve");
  fs.full = false;
  now += 60_000;
  await log.append(LONG);
  await until(() => log.state === "ok");
  expect(pieces()).toHaveLength(1);
  await log.append(LONG);
  await log.close();
  expect(folder.segments).toHaveLength(3);
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
  for (const file of folder.segments) expect(readFileSync(join(folder.path, file)).includes(0)).toBe(false);
});

test("two processes share the pieces", async () => {
  const one = await folder.open({ fs, reserveBytes: 2 * MEBIBYTE });
  await until(() => pieces().length === 2);
  const two = await folder.open({ fs, reserveBytes: 2 * MEBIBYTE });
  // What the second one makes meanwhile, because it looked before the first was done, must be in place, too.
  await until(() => pieces().length === 2 && !readdirSync(folder.path).some((file) => file.endsWith(".new")));
  fs.full = true;
  await one.append(LONG);
  await two.append(LONG);
  expect([one.state, two.state, pieces().length]).toEqual(["reserve", "reserve", 0]);
  await one.close();
  await two.close();
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
});

test("a kill while the log lives on its reserve leaves a log that verifies", async () => {
  const log = await folder.open({ fs, reserveBytes: MEBIBYTE });
  await until(() => pieces().length === 1);
  fs.full = true;
  for (let index = 0; index < 10; index++) await log.append(LONG);
  const killed = folder.copy();
  const last = join(killed.path, killed.segments.at(-1)!);
  expect(statSync(last).size).toBe(MEBIBYTE);
  expect(await killed.verify()).toMatchObject({ ok: true, findings: [] });
  // Where the kill came in the middle of a line.
  const bytes = readFileSync(last);
  bytes.write('{"seq":14,"time', bytes.indexOf(0), "latin1");
  writeFileSync(last, bytes);
  const report = await killed.verify();
  expect(report).toMatchObject({ ok: true, findings: [{ kind: "torn" }] });
  killed.remove();
  await log.close();
});

test("a torn write into the reserve is blanked before the next one", async () => {
  const log = await folder.open({ fs, reserveBytes: MEBIBYTE });
  await until(() => pieces().length === 1);
  fs.full = true;
  await log.append(LONG);
  fs.full = false;
  fs.writeError = "EIO";
  fs.partial = 700;
  await expect(log.append(LONG)).rejects.toMatchObject({ reason: "AUDIT_UNAVAILABLE" });
  fs.writeError = undefined;
  await log.append(call());
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
  await log.close();
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
});

test("a log can be begun on its reserve alone", async () => {
  const first = await folder.open({ reserveBytes: MEBIBYTE });
  await until(() => pieces().length === 1);
  await first.close();
  fs.full = true;
  const log = await folder.open({ fs, reserveBytes: MEBIBYTE });
  expect(log.state).toBe("reserve");
  await log.append(call());
  await log.close();
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
});

test("what a killed process left half made is removed, and a smaller reserve gives its room back", async () => {
  const first = await folder.open({ reserveBytes: 2 * MEBIBYTE });
  await until(() => pieces().length === 2);
  await first.close();
  const stale = join(folder.path, `reserve-00-${"a".repeat(16)}.new`);
  writeFileSync(stale, "zeros");
  utimesSync(stale, 1, 1);
  const log = await folder.open({ reserveBytes: MEBIBYTE });
  await until(() => !existsSync(stale) && pieces().length === 1);
  await log.close();
});
