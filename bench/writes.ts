import { Wire } from "../test/support/wire.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { endServer, startServer } from "./server.ts";
import { ratio, spread } from "./statistics.ts";

/** Durable puts: one caller alone, and 64 at once, who share flushes. */
export const writes: Scenario = {
  name: "writes",
  run: async (plan: Plan): Promise<readonly Figure[]> => {
    const server = await startServer(plan);
    const wires = Array.from({ length: 4 }, () => new Wire(server.address, server.adminToken));
    let next = 0;
    const value = Buffer.alloc(100, "v");
    const putFor = async (callers: number): Promise<number> => {
      const end = performance.now() + plan.seconds * 1000;
      const began = performance.now();
      let done = 0;
      const caller = async (wire: Wire) => {
        while (performance.now() < end) {
          const number = next++;
          await wire.put(`bench/put/${number % 1000}`, BigInt(Math.floor(number / 1000)), value);
          done += 1;
        }
      };
      await Promise.all(
        Array.from({ length: callers }, (_, index) => caller(wires[index % wires.length] as Wire)),
      );
      return done / ((performance.now() - began) / 1000);
    };
    await putFor(4);
    const alone: number[] = [];
    const together: number[] = [];
    for (let round = 0; round < plan.rounds; round++) {
      alone.push(await putFor(1));
      together.push(await putFor(64));
    }
    for (const wire of wires) wire.close();
    await endServer(plan, server);
    return [
      { name: "PutSlot, one caller", unit: "puts/s", value: spread(alone) },
      { name: "PutSlot, 64 callers", unit: "puts/s", value: spread(together) },
      { name: "64 callers : one", unit: "", value: ratio(together, alone), must: ">= 4", aim: ">= 8" },
    ];
  },
};
