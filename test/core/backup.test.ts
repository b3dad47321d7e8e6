import { existsSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { Wire } from "../support/wire.ts";

test("a backup takes away what an earlier one left behind when it was killed, and nothing else", async () => {
  const server = await ServerProcess.start();
  const file = (name: string) => join(server.dataDir, name);
  const before = { left: file("backup-0123456789abcdef.tmp"), other: file("backup-of-mine.tmp") };
  const running = file("backup-fedcba9876543210.tmp");
  for (const each of [before.left, before.other, running]) writeFileSync(each, "");
  for (const each of [before.left, before.other]) utimesSync(each, 1e9, 1e9);

  const wire = new Wire(server.address, server.adminToken);
  const pieces = [];
  for await (const piece of wire.stream(AdminService.method.createBackup, {})) pieces.push(piece);
  expect(pieces.length).toBeGreaterThan(0);
  expect([before.left, before.other, running].map((each) => existsSync(each))).toEqual([false, true, true]);
  wire.close();
  await server.dispose();
});
