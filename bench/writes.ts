import { Wire } from "../test/support/wire.ts";
import { Callers, p99 } from "./callers.ts";
import { readsBesideCheckpoints } from "./checkpoints.ts";
import { flushes } from "./flushes.ts";
import { cpuOf, threadsOf } from "./process.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { endServer, startServer } from "./server.ts";
import { percentile, ratio, type Spread, spread } from "./statistics.ts";

const MANY = 64;

/** Durable puts: one caller alone, and 64 at once, who share flushes. */
export const writes: Scenario = {
  name: "writes",
  run: async (plan: Plan): Promise<readonly Figure[]> => {
    const profiled = plan.profile !== undefined;
    const server = await startServer(plan);
    const wires = Array.from({ length: 4 }, () => new Wire(server.address, server.adminToken));
    const own = new Wire(server.address, server.adminToken);
    const [one, many] = [new Callers([own], "bench/one"), new Callers(wires, "bench/put")];
    await many.put(4, plan.seconds);
    const alone: Run[] = [];
    const together: Run[] = [];
    const beside: Run[] = [];
    const costs: Cost[] = [];
    for (let round = 0; round < plan.rounds; round++) {
      if (!profiled) alone.push(await one.put(1, plan.seconds));
      const before = costSoFar(server.child.pid);
      const run = await many.put(MANY, plan.seconds);
      costs.push(costOf(before, costSoFar(server.child.pid), run.took.length));
      together.push(run);
      if (profiled) continue;
      const [lone] = await Promise.all([one.put(1, plan.seconds), many.put(MANY, plan.seconds)]);
      beside.push(lone);
    }
    const checkpoints = profiled ? [] : await readsBesideCheckpoints(plan, server);
    for (const wire of [...wires, own]) wire.close();
    await endServer(plan, server);

    const rates = (runs: readonly Run[]) => runs.map(({ rate }) => rate);
    const late = (runs: readonly Run[], share: number) =>
      spread(runs.map(({ took }) => percentile(took, share)));
    const cost = (name: keyof Cost) => spread(costs.map((each) => each[name]));
    const perPut = (name: string, value: Spread) => ({ name, unit: "µs/put", value });
    const figures: Figure[] = [
      { name: "PutSlot, 64 callers", unit: "puts/s", value: spread(rates(together)) },
      perPut("processor time of the main thread, 64 callers", cost("main")),
      perPut("of the thread that writes", cost("writer")),
      perPut("of V8's and libuv's threads", cost("others")),
      perPut("of the load generator", cost("load")),
    ];
    // With a profile only many callers put, so that it is of them alone.
    if (profiled) return figures;
    return [
      { name: "PutSlot, one caller", unit: "puts/s", value: spread(rates(alone)) },
      ...figures,
      {
        name: "PutSlot, 64 callers : one",
        unit: "",
        value: ratio(rates(together), rates(alone)),
        must: ">= 4",
        aim: ">= 8",
      },
      ...(await flushes(plan, MANY)),
      { name: "PutSlot, a lone caller, p50", unit: "ms", value: late(alone, 0.5) },
      { name: "the same, p99", unit: "ms", value: spread(alone.map(({ took }) => p99(took))) },
      { name: "one caller beside 64 others, p50", unit: "ms", value: late(beside, 0.5) },
      { name: "the same, p99", unit: "ms", value: spread(beside.map(({ took }) => p99(took))) },
      ...checkpoints,
    ];
  },
};

interface Run {
  readonly rate: number;
  readonly took: readonly number[];
}

/** Processor time, of the server's threads and of this process, which makes the load. */
interface Cost {
  readonly main: number;
  readonly writer: number;
  readonly others: number;
  readonly load: number;
}

/** Milliseconds. */
function costSoFar(pid: number | undefined): Cost {
  const threads = threadsOf(pid);
  const [main, writer] = [threads.get("MainThread") ?? 0, threads.get("store-writer") ?? 0];
  const all = [...threads.values()].reduce((sum, time) => sum + time, 0);
  return { main, writer, others: all - main - writer, load: cpuOf(process.pid) };
}

/** Microseconds a put. */
function costOf(before: Cost, after: Cost, puts: number): Cost {
  const of = (name: keyof Cost) => ((after[name] - before[name]) / puts) * 1000;
  return { main: of("main"), writer: of("writer"), others: of("others"), load: of("load") };
}
