import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, statfsSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { needs, withTmpfs } from "../guarantees/support/needs.ts";
import { LogFolder, until } from "./file-log.ts";
import { call, found } from "./records.ts";

const MEBIBYTE = 1 << 20;
let disk: string;
let mounted = false;

beforeAll(() => {
  disk = mkdtempSync(join(tmpdir(), "slots-full-disk-"));
  mounted = needs("tmpfs") && withTmpfs(disk, "12m");
});

afterAll(() => {
  if (mounted) spawnSync("umount", ["--lazy", disk]);
  rmSync(disk, { recursive: true, force: true });
});

test("D4: on a disk that is really full the log lives on its reserve, refuses, and recovers", async (context) => {
  if (!mounted) return context.skip();
  const folder = new LogFolder(join(disk, "audit"));
  const log = await folder.open({ reserveBytes: 2 * MEBIBYTE, anchorIntervalMs: 20 });
  await until(() => statfsSync(disk).bavail * statfsSync(disk).bsize < 10.1 * MEBIBYTE);
  await log.append(call({ requestId: "before" }));

  const ballast = join(disk, "ballast");
  writeFileSync(ballast, "");
  fill(ballast);
  const record = call({ subject: "x".repeat(900) });
  let kept = 0;
  for (; kept < 100_000; kept++) {
    try {
      await log.append(record);
    } catch (cause) {
      expect(cause).toMatchObject({ reason: "AUDIT_UNAVAILABLE" });
      break;
    }
    // Somebody else takes every byte that is given back.
    if (kept % 50 === 0) fill(ballast);
  }
  expect(kept).toBeGreaterThan(1500);
  expect(kept).toBeLessThan(3000);
  expect(log.state).toBe("unavailable");
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });

  unlinkSync(ballast);
  await log.append(call({ requestId: "after" }));
  await log.close();
  expect(await folder.verify()).toMatchObject({ ok: true, findings: [] });
  const records = await found(log);
  expect(records).toHaveLength(kept + 2);
  expect(records.at(-1)?.fields.request_id).toBe("after");
});

function fill(ballast: string): void {
  for (const size of [MEBIBYTE, 4096, 1]) {
    try {
      for (;;) appendFileSync(ballast, Buffer.alloc(size, 1));
    } catch (cause) {
      expect(cause).toMatchObject({ code: "ENOSPC" });
    }
  }
}
