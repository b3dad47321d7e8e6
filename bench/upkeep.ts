import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { AdminService } from "../gen/ts/secretslots/v1/admin_service_pb.ts";
import { generateMasterKey } from "../src/offline/generate-master-key.ts";
import { memoryOf } from "../test/support/processes.ts";
import { NODE, type ServerProcess, SLOTS } from "../test/support/server-process.ts";
import { Wire } from "../test/support/wire.ts";
import { forgetPeakOf, peakMemoryOf } from "./process.ts";
import { readNames } from "./random-reads.ts";
import type { Figure, Plan } from "./scenario.ts";
import { startServer } from "./server.ts";
import { percentile, spread } from "./statistics.ts";

const MIB = 2 ** 20;

/** What an operator does to a large store while it is read: a new master key, a backup, the check of the backup. */
export async function upkeep(
  plan: Plan,
  dataDir: string,
  name: () => string,
  slots: number,
): Promise<Figure[]> {
  const keyId = await generateMasterKey(join(dataDir, "master.key"));
  const server = await startServer(plan, { dataDir });
  const calm = await whileRead(
    server,
    name,
    () => new Promise((end) => setTimeout(end, plan.seconds * 1000)),
  );
  const { pid } = server;
  const memory = { calm: memoryOf(pid), rotation: 0, backup: 0 };
  forgetPeakOf(pid);
  const rotation = await whileRead(server, name, () => rotate(server, keyId, plan.rounds * plan.seconds));
  memory.rotation = peakMemoryOf(pid);
  const backup = join(dataDir, "bench.backup");
  forgetPeakOf(pid);
  const copied = await whileRead(server, name, () =>
    whilePut(server, () => slotsCommand(server, "backup", "create", "-o", backup)),
  );
  memory.backup = peakMemoryOf(pid);
  await server.stop();
  const checked = await timed(() =>
    slotsCommand(server, "backup", "verify", backup, "--master-key-file", join(dataDir, "master.key")),
  );
  rmSync(backup);
  const { wal, puts } = copied.result;
  const late = (took: readonly number[]) => spread([percentile(took, 0.99)]);
  return [
    { name: "keys rewrapped after a rotation", unit: "slots/s", value: spread([rotation.result]) },
    { name: "backup, written", unit: "slots/s", value: spread([slots / copied.seconds]) },
    { name: "backup, every record opened", unit: "slots/s", value: spread([slots / checked]) },
    { name: "server memory while 8 callers read", unit: "MB", value: spread([memory.calm / MIB]) },
    { name: "its peak during the rewrapping", unit: "MB", value: spread([memory.rotation / MIB]) },
    { name: "its peak during the backup", unit: "MB", value: spread([memory.backup / MIB]) },
    { name: "largest WAL during the backup, beside one who puts", unit: "MB", value: spread([wal / MIB]) },
    { name: "their puts", unit: "", value: spread([puts]) },
    { name: "GetSecret by 8 callers, p99", unit: "ms", value: late(calm.took) },
    { name: "the same during the rewrapping", unit: "ms", value: late(rotation.took) },
    { name: "the same during the backup", unit: "ms", value: late(copied.took) },
  ];
}

/** Rewrapped slots a second; a rotation that is cut goes on another time. */
async function rotate(server: ServerProcess, keyId: string, seconds: number): Promise<number> {
  const wire = new Wire(server.address, server.adminToken);
  const stream = wire.stream(AdminService.method.rotateMasterKey, { keyId });
  let first: number | undefined;
  let rate = 0;
  for await (const { doneCount, complete } of stream) {
    // From the first batch on: what comes before is the count of what there is to do.
    first ??= doneCount > 0n ? performance.now() : undefined;
    const took = first === undefined ? 0 : (performance.now() - first) / 1000;
    if (took > 0) rate = Number(doneCount) / took;
    if (complete || took > seconds) break;
  }
  wire.close();
  return rate;
}

/** Runs something while eight callers read, one call at a time each. */
async function whileRead<T>(server: ServerProcess, name: () => string, run: () => Promise<T>) {
  const stop = new AbortController();
  const { address, adminToken: token } = server;
  const reading = readNames({ address, token, name, connections: 8, streams: 1 }, stop.signal);
  const began = performance.now();
  try {
    const result = await run();
    const seconds = (performance.now() - began) / 1000;
    stop.abort();
    return { result, seconds, took: (await reading).took };
  } finally {
    stop.abort();
  }
}

/** Runs something while one caller puts, and tells how far the WAL grew and for how many puts. */
async function whilePut(server: ServerProcess, run: () => Promise<unknown>) {
  const wire = new Wire(server.address, server.adminToken);
  // Seconds: higher than any slot there is, in this run and in one before it.
  const slot = BigInt(Date.now()) * 1000n;
  const running = { is: true };
  const putting = (async () => {
    let [puts, wal] = [0, 0];
    for (; running.is; puts++) {
      await wire.put(`bench/beside-backup/${puts % 1000}`, slot + BigInt(puts), Buffer.alloc(100, "v"));
      wal = Math.max(wal, statSync(join(server.dataDir, "store.db-wal")).size);
    }
    return { puts, wal };
  })();
  const done = run().finally(() => {
    running.is = false;
  });
  const [, put] = await Promise.all([done, putting]).finally(() => wire.close());
  return put;
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1000;
}

async function slotsCommand(server: ServerProcess, ...args: readonly string[]): Promise<void> {
  const env = {
    ...process.env,
    SLOTS_ADDRESS: server.address,
    SLOTS_TOKEN_FILE: join(server.dataDir, "admin.token"),
  };
  const child = spawn(NODE, [SLOTS, ...args], { env, stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`slots ${args.slice(0, 2).join(" ")} ended with ${code}`);
}
