import { execFile } from "node:child_process";
import { copyFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NODE, ServerProcess, SLOTS } from "../support/server-process.ts";
import { failure, text, Wire } from "../support/wire.ts";
import { auditLines, verify } from "./audit-records.ts";

/** The drills of docs/security.md, as an operator does them. */
let server: ServerProcess;
let token = "";

beforeAll(async () => {
  server = await ServerProcess.start();
  token = server.adminToken;
  const admin = new Wire(server.address, token);
  await admin.put("db", 0n, "value");
  admin.close();
});

afterAll(() => server?.dispose());

function slots(args: readonly string[], env: Record<string, string> = {}) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const all = { ...process.env, SLOTS_ADDRESS: server.address, ...env };
    execFile(NODE, [SLOTS, ...args], { env: all, cwd: server.dataDir }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

test("the admin token is lost: a new one from the files, while the server runs; the old one is revoked", async () => {
  rmSync(join(server.dataDir, "admin.token"));
  expect((await slots(["whoami"])).code).not.toBe(0);
  const made = await slots(["token", "create", "--data-dir", server.dataDir, "--comment", "a drill"]);
  expect(made).toMatchObject({ code: 0 });
  const file = join(server.dataDir, "new.token");
  writeFileSync(file, made.stdout, { mode: 0o600 });
  const withNew = { SLOTS_TOKEN_FILE: file };
  expect((await slots(["whoami"], withNew)).stdout).toContain("token:admin");

  const listed = await slots(["token", "list", "--output", "json"], withNew);
  const tokens = listed.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { tokenId: string; comment?: string });
  const lost = tokens.find(({ comment }) => comment === "made at first start");
  expect(await slots(["token", "revoke", lost?.tokenId ?? ""], withNew)).toMatchObject({ code: 0 });
  const old = new Wire(server.address, token);
  expect((await failure(old.get("db"))).code).toBe("UNAUTHENTICATED");
  old.close();
  const record = auditLines(join(server.dataDir, "audit")).find(({ rpc }) => rpc === "OfflineCreateToken");
  expect(record).toMatchObject({ method: "offline", code: "OK", changed: true });
  expect(record?.principal).toMatch(/^offline:/);
  token = made.stdout.trim();
});

test("the master key is lost: a start says what is missing and changes nothing, and a copy brings all back", async () => {
  const { dataDir } = server;
  const key = join(dataDir, "master.key");
  copyFileSync(key, join(dataDir, "safe"));
  rmSync(key);
  // As long as it runs, it still has it.
  const wire = new Wire(server.address, token);
  expect(text((await wire.get("db")).value)).toBe("value");
  wire.close();
  await server.stop();

  const without = await ServerProcess.startFailing({ dataDir });
  expect(without.code).toBe(1);
  expect(without.output).toContain("master.key is missing");
  // Another key is not taken for it.
  expect(await slots(["key", "generate", "--file", key])).toMatchObject({ code: 0 });
  const wrong = await ServerProcess.startFailing({ dataDir });
  expect(wrong.code).toBe(1);
  expect(wrong.output).toMatch(/mk_[0-9a-f]{20}/);

  renameSync(join(dataDir, "safe"), key);
  server = await ServerProcess.start({ dataDir });
  const again = new Wire(server.address, token);
  expect(text((await again.get("db")).value)).toBe("value");
  again.close();
  expect(await verify(dataDir)).toMatchObject({ ok: true });
});
