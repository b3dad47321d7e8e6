import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { verifyAuditFiles } from "../../src/offline/verify-audit.ts";
import { ServerProcess } from "../support/server-process.ts";
import { text, Wire } from "../support/wire.ts";

/** How often three servers start at the same moment on a data directory that is not there yet. */
const TIMES = Number(process.env.SLOTS_TEST_FIRST_STARTS ?? 3);

async function all(dataDir: string): Promise<{ servers: ServerProcess[]; wires: Wire[] }> {
  const servers = await Promise.all([1, 2, 3].map(() => ServerProcess.start({ dataDir })));
  return { servers, wires: servers.map((server) => new Wire(server.address, server.adminToken)) };
}

test(`servers that start first at the same moment, ${TIMES} times: one store with one set of keys and one token`, {
  timeout: 60_000 + TIMES * 60_000,
}, async () => {
  for (let time = 0; time < TIMES; time++) {
    const dataDir = join(mkdtempSync(join(tmpdir(), "slots-test-")), "data");
    const { servers, wires } = await all(dataDir);
    // Each under a key of the store that all must agree on: the request's digest, and the audit log's chains.
    const put = { name: "a", value: Buffer.from("v"), slot: 1n, requestId: "one" };
    const answers = await Promise.all(wires.map((wire) => wire.put(put.name, put.slot, put.value, put)));
    expect(new Set(answers.map(({ revision, epoch }) => `${revision} ${epoch}`)).size).toBe(1);
    for (const wire of wires) expect(text((await wire.get("a")).value)).toBe("v");
    for (const wire of wires) {
      const { tokens } = await wire.call(AdminService.method.listTokens, {});
      expect(tokens.length).toBe(1);
    }
    for (const wire of wires) wire.close();
    for (const server of servers) expect((await server.stop()).code).toBe(0);

    expect(await verifyAuditFiles({ dataDir })).toMatchObject({ ok: true, chains: { length: 3 } });
    const again = await all(dataDir);
    for (const wire of again.wires) expect(text((await wire.get("a")).value)).toBe("v");
    for (const wire of again.wires) wire.close();
    for (const server of again.servers) await server.dispose();
  }
});
