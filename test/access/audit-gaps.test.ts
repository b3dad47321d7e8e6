import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { verifyAuditFiles } from "../../src/offline/verify-audit.ts";
import { needs, withTmpfs } from "../guarantees/support/needs.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, text, Wire, WireError } from "../support/wire.ts";
import { auditLines, verify } from "./audit-records.ts";

/** S4 when the process is killed, and when the log can't be written. On demand: SLOTS_TEST_KILLS=1000. */
const KILLS = Number(process.env.SLOTS_TEST_KILLS ?? 4);
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) {
    spawnSync("umount", ["--lazy", folder]);
    rmSync(folder, { recursive: true, force: true });
  }
});

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "slots-audit-"));
  folders.push(folder);
  return folder;
}

/** Revisions that the log says were changes. */
const changesIn = (directory: string) =>
  new Set(auditLines(directory).flatMap(({ changed, revision }) => (changed && revision ? [revision] : [])));

const headOf = async (wire: Wire) => (await wire.call(SecretService.method.getServerInfo, {})).revision;

test(`after ${KILLS} kills under load every change is in the log, answered or not`, {
  timeout: 60_000 + KILLS * 30_000,
}, async () => {
  const dataDir = temporaryFolder();
  const answered = new Set<string>();
  const read: string[] = [];
  for (let round = 0; round < KILLS; round++) {
    const server = await ServerProcess.start({ dataDir });
    const wire = new Wire(server.address, server.adminToken);
    let count = 0;
    const write = async (writer: number) => {
      for (let slot = 0n; ; slot++) {
        const { revision } = await wire.put(`killed/${round}/${writer}`, slot, "value");
        answered.add(String(revision));
        const { name } = await wire.get(`killed/${round}/${writer}`);
        read.push(name);
        count += 1;
      }
    };
    const writers = Array.from({ length: 16 }, (_, writer) => write(writer).catch((error: unknown) => error));
    await waitFor("some load", () => count > 100);
    await server.kill();
    for (const error of await Promise.all(writers)) expect(error).toBeInstanceOf(WireError);
    wire.close();
  }
  const directory = join(dataDir, "audit");
  const before = auditLines(directory);
  const disclosed = before.filter(({ rpc, code }) => rpc === "GetSecret" && code === "OK");
  for (const name of new Set(read)) {
    const records = disclosed.filter(({ secret }) => secret === name).length;
    expect(records).toBeGreaterThanOrEqual(read.filter((each) => each === name).length);
  }

  const server = await ServerProcess.start({ dataDir });
  const wire = new Wire(server.address, server.adminToken);
  const changes = changesIn(directory);
  expect([...answered].filter((revision) => !changes.has(revision))).toEqual([]);
  const head = await headOf(wire);
  const all = Array.from({ length: Number(head) }, (_, index) => String(index + 1));
  expect(all.filter((revision) => !changes.has(revision))).toEqual([]);
  const completed = auditLines(directory).filter(({ kind }) => kind === "completed").length;
  console.log(`${head} changes, ${answered.size} answered, ${completed} completed by a later start`);
  wire.close();
  await server.stop();
  expect(await verify(dataDir)).toMatchObject({ ok: true });
});

test("a full disk of the log: refused UNAVAILABLE, nothing disclosed, and all well again with no restart", async (context) => {
  const disk = temporaryFolder();
  if (!needs("tmpfs")) return context.skip();
  if (!withTmpfs(disk, "4m")) throw new Error("can't mount a tmpfs");
  const auditDir = join(disk, "audit");
  const server = await ServerProcess.start({ args: ["--audit-dir", auditDir, "--audit-reserve-bytes", "0"] });
  const wire = new Wire(server.address, server.adminToken);
  try {
    await wire.put("db", 0n, "before");
    const stream = wire.watch("db");
    await stream.take();

    const ballast = join(disk, "ballast");
    fill(ballast);
    // What room the log's last page has is used up by refusals; then one change is made that can't be told of.
    let refusal: WireError | undefined;
    for (let slot = 1n; refusal === undefined; slot++) {
      refusal = await wire.put("db", slot, `value ${slot}`).then(
        () => undefined,
        (error: WireError) => error,
      );
      if (slot > 10_000n) throw new Error("the disk does not become full");
    }
    expect(refusal).toMatchObject({ code: "UNAVAILABLE", reason: "AUDIT_UNAVAILABLE", retryAfterMs: 1000 });

    // Nothing leaves, and nothing more is changed.
    const head = await headOf(wire);
    const calls = [
      () => wire.get("db"),
      () => wire.put("db", 99_999n, "x"),
      () => wire.watch("db").take(),
      () => wire.get("none"),
    ];
    for (const call of calls) {
      expect(await failure(call())).toMatchObject({ code: "UNAVAILABLE", reason: "AUDIT_UNAVAILABLE" });
    }
    expect(await headOf(wire)).toBe(head);
    const told: bigint[] = [];
    const end = await (async () => {
      for (;;) {
        const message = await stream.take().catch((error: unknown) => error);
        if (message instanceof Error) return message;
        const { event, revision } = message as { event: { case?: string }; revision: bigint };
        if (event.case === "current") told.push(revision);
      }
    })();
    expect(end).toMatchObject({ code: "UNAVAILABLE", reason: "AUDIT_UNAVAILABLE" });
    const logged = new Set(
      auditLines(auditDir).flatMap(({ kind, revision }) => (kind === "delivery" ? [revision] : [])),
    );
    expect(told.filter((revision) => !logged.has(String(revision)))).toEqual([]);

    unlinkSync(ballast);
    await waitFor("reads to be answered again", () =>
      wire.get("db").then(
        () => true,
        () => false,
      ),
    );
    expect(text((await wire.get("db")).value)).toMatch(/^value/);
    await wire.put("db", 100_000n, "after");
    // The change that the log refused gets its record, too.
    const now = await headOf(wire);
    const all = Array.from({ length: Number(now) }, (_, index) => String(index + 1));
    await waitFor("every change to be in the log", () => {
      const changes = changesIn(auditDir);
      return all.every((revision) => changes.has(revision));
    });
    wire.close();
    await server.stop();
    const report = await verifyAuditFiles({ dataDir: server.dataDir, auditDir });
    expect(report).toMatchObject({ ok: true, findings: [] });
  } finally {
    wire.close();
    await server.dispose();
  }
});

function fill(ballast: string): void {
  writeFileSync(ballast, "");
  for (const size of [1 << 16, 4096, 1]) {
    try {
      for (;;) appendFileSync(ballast, Buffer.alloc(size, 1));
    } catch (cause) {
      expect(cause).toMatchObject({ code: "ENOSPC" });
    }
  }
}
