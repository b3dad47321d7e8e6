import { Wire } from "../test/support/wire.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { endServer, startServer } from "./server.ts";
import { percentile, spread } from "./statistics.ts";

/** How soon after its answer a rotation is where it is waited for. */
export const watches: Scenario = {
  name: "watches",
  run: async (plan: Plan): Promise<readonly Figure[]> => {
    const server = await startServer(plan);
    const writer = new Wire(server.address, server.adminToken);
    const reader = new Wire(server.address, server.adminToken);
    await writer.put("bench/one", 0n, "v");
    const watch = reader.watch("bench/one");
    await watch.take();
    const rounds: number[][] = [];
    let slot = 1n;
    for (let round = 0; round < plan.rounds; round++) {
      const late: number[] = [];
      for (let put = 0; put < plan.seconds * 100; put++) {
        const told = watch.take().then(() => performance.now());
        await writer.put("bench/one", slot++, "v");
        const answered = performance.now();
        late.push(Math.max(0, (await told) - answered));
      }
      rounds.push(late);
    }
    for (const wire of [writer, reader]) wire.close();
    await endServer(plan, server);
    const share = (of: number) => spread(rounds.map((late) => percentile(late, of)));
    return [
      { name: "put answered -> one watcher has it", unit: "ms", value: share(0.5) },
      {
        name: "put answered -> one watcher has it, p99",
        unit: "ms",
        value: share(0.99),
        must: "<= 10",
        aim: "<= 3",
      },
    ];
  },
};
