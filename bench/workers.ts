import { create, toBinary } from "@bufbuild/protobuf";
import { GetSecretRequestSchema } from "../gen/ts/secretslots/v1/secret_service_pb.ts";
import { childrenOf } from "../test/support/processes.ts";
import { Wire } from "../test/support/wire.ts";
import { hasH2load, load } from "./h2load.ts";
import { shareOfMemoryOf } from "./process.ts";
import { DEFAULTS } from "./reads-of-many.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { endServer, startServer } from "./server.ts";
import { percentile, spread } from "./statistics.ts";

const WORKERS = 2;
const MIB = 2 ** 20;

/** What several processes on one address hold, and how soon one has what another was told. */
export const workers: Scenario = {
  name: "workers",
  run: async (plan: Plan): Promise<readonly Figure[]> => {
    const server = await startServer(plan, { args: ["--workers", String(WORKERS), ...DEFAULTS] });
    const { address, adminToken: token } = server;
    const holder = server.pid;
    const workerPids = childrenOf(holder);
    if (workerPids.length !== WORKERS) throw new Error(`${workerPids.length} workers are running`);
    const memory = () => ({
      each: spread(workerPids.map((pid) => shareOfMemoryOf(pid) / MIB)),
      holder: spread([shareOfMemoryOf(holder) / MIB]),
    });

    // Connections are handed out in turn: of two watchers one is on another worker than whoever puts.
    const [writer, ...readers] = [0, 1, 2].map(() => new Wire(address, token)) as [Wire, ...Wire[]];
    const name = "bench/worker";
    await writer.put(name, 0n, "v".repeat(100));
    const idle = memory();
    const watches = [];
    for (const reader of readers) {
      const watch = reader.watch(name);
      await watch.take();
      watches.push(watch);
    }
    const rounds: number[][] = [];
    let slot = 1n;
    for (let round = 0; round < plan.rounds; round++) {
      const late: number[] = [];
      for (let put = 0; put < plan.seconds * 100; put++) {
        const told = Promise.all(watches.map((watch) => watch.take())).then(() => performance.now());
        await writer.put(name, slot++, "v".repeat(100));
        const answered = performance.now();
        late.push(Math.max(0, (await told) - answered));
      }
      rounds.push(late);
      if (!hasH2load()) continue;
      await load({
        ...{ connections: 8, streams: 16, seconds: plan.seconds, address, token },
        path: "/secretslots.v1.SecretService/GetSecret",
        message: toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { name })),
      });
    }
    const loaded = memory();
    for (const wire of [writer, ...readers]) wire.close();
    await endServer(plan, server);
    const share = (of: number) => spread(rounds.map((late) => percentile(late, of)));
    return [
      { name: "put answered -> watchers on both workers have it", unit: "ms", value: share(0.5) },
      { name: "the same, p99", unit: "ms", value: share(0.99) },
      { name: "memory (PSS) of a worker, idle", unit: "MB", value: idle.each },
      { name: "the same after reads and puts", unit: "MB", value: loaded.each },
      { name: "memory (PSS) of the process with the address, idle", unit: "MB", value: idle.holder },
      { name: "the same after reads and puts of others", unit: "MB", value: loaded.holder },
    ];
  },
};
