import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FileAuditLog } from "../../src/audit/file-audit-log.ts";
import { openStore, storeKey } from "../../src/offline/open-store.ts";
import { verifyAuditFiles } from "../../src/offline/verify-audit.ts";
import { call } from "../audit/records.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";

const DAY_MS = 24 * 3_600_000;

test("--audit-keep-days: a server that starts removes what is too old, and the log verifies", async () => {
  const first = await ServerProcess.start();
  const { dataDir } = first;
  await first.stop();
  // A chain of 40 days ago, as a server of that time would have left it.
  const opened = await openStore(dataDir, {});
  const log = await FileAuditLog.open({
    directory: join(dataDir, "audit"),
    storeKey: storeKey(opened, "audit"),
    anchor: (anchor) => opened.storage.putAuditAnchors([anchor]),
    reserveBytes: 0,
    clock: () => Date.now() - 40 * DAY_MS,
  });
  await log.append(call());
  const file = join(
    dataDir,
    "audit",
    readdirSync(join(dataDir, "audit")).find((each) => each.includes(log.chain)) ?? "",
  );
  await log.close();
  await opened.storage.close();
  expect(await verifyAuditFiles({ dataDir })).toMatchObject({ ok: true, chains: { length: 2 } });

  const keeping = await ServerProcess.start({ dataDir, args: ["--audit-keep-days", "50"] });
  const wire = new Wire(keeping.address, keeping.adminToken);
  await wire.put("a", 0n, "v");
  wire.close();
  await keeping.stop();
  expect(existsSync(file)).toBe(true);

  const server = await ServerProcess.start({ dataDir, args: ["--audit-keep-days", "30"] });
  try {
    await waitFor("the old file to go", () => !existsSync(file));
    await waitFor("a line in the log", () => server.output.includes("removed audit files"));
    expect(await verifyAuditFiles({ dataDir })).toMatchObject({
      ok: true,
      findings: [],
      chains: { length: 3 },
    });
  } finally {
    await server.dispose();
  }
});
