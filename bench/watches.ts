import { ServerProcess } from "../test/support/server-process.ts";
import { Wire } from "../test/support/wire.ts";
import { memoryOf } from "./process.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { percentile, spread } from "./statistics.ts";

/** How soon a rotation is everywhere: one watcher, and a thousand. */
export const watches: Scenario = {
  name: "watches",
  run: async (plan: Plan): Promise<readonly Figure[]> => {
    const server = await ServerProcess.start();
    const writer = new Wire(server.address, server.adminToken);
    const readers = Array.from({ length: 8 }, () => new Wire(server.address, server.adminToken));
    await writer.put("bench/one", 0n, "v");
    const single = (readers[0] as Wire).watch("bench/one");
    await single.take();
    const lone: number[] = [];
    for (let slot = 1n; slot <= BigInt(plan.rounds * 50); slot++) {
      const told = single.take().then(() => performance.now());
      await writer.put("bench/one", slot, "v");
      const answered = performance.now();
      lone.push(Math.max(0, (await told) - answered));
    }
    await writer.put("bench/fan", 0n, "v");
    const streams = Array.from({ length: 1000 }, (_, index) =>
      (readers[index % readers.length] as Wire).watch("bench/fan"),
    );
    await Promise.all(streams.map((stream) => stream.take()));
    const fan: number[] = [];
    for (let slot = 1n; slot <= BigInt(plan.rounds); slot++) {
      const began = performance.now();
      const told = Promise.all(streams.map((stream) => stream.take()));
      await writer.put("bench/fan", slot, "v");
      await told;
      fan.push(performance.now() - began);
    }
    // What one more idle watch costs: memory before and after a thousand more, each having had its first value.
    const before = memoryOf(server.child.pid);
    const idle = Array.from({ length: 1000 }, (_, index) =>
      (readers[index % readers.length] as Wire).watch("bench/fan"),
    );
    await Promise.all(idle.map((stream) => stream.take()));
    const perWatch = (memoryOf(server.child.pid) - before) / idle.length / 1024;
    for (const wire of [writer, ...readers]) wire.close();
    await server.dispose();
    const late = percentile(lone, 0.99);
    return [
      { name: "put answered -> one watcher has it", unit: "ms", value: spread(lone) },
      { name: "the same, p99", unit: "ms", value: { median: late, least: late, most: late }, must: "<= 10" },
      { name: "put sent -> 1,000 watchers have it", unit: "ms", value: spread(fan) },
      { name: "server memory for each idle watch", unit: "KB", value: spread([perWatch]), must: "<= 25" },
    ];
  },
};
