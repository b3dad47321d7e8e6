import { statSync } from "node:fs";
import { join } from "node:path";
import type { ServerProcess } from "../test/support/server-process.ts";
import { Wire } from "../test/support/wire.ts";
import { Callers, callsAtFixedTimes, p99 } from "./callers.ts";
import type { Figure, Plan } from "./scenario.ts";
import { spread } from "./statistics.ts";

/** Puts of this size fill the WAL fast: a checkpoint every 60 puts or so. */
const VALUE = Buffer.alloc(60_000, "v");
const CALLERS = 8;
/** The kernel's clock for times of files is this coarse, milliseconds. */
const COARSE_MS = 10;

/** Reads beside puts of large values, told apart by whether a checkpoint wrote to the store meanwhile; and the WAL. */
export async function readsBesideCheckpoints(plan: Plan, server: ServerProcess): Promise<Figure[]> {
  const [reader, ...writers] = Array.from({ length: 3 }, () => new Wire(server.address, server.adminToken));
  if (reader === undefined) return [];
  await reader.put("bench/read-beside", 0n, "v");
  const putters = new Callers(writers, "bench/large", VALUE);
  const store = join(server.dataDir, "store.db");
  const rounds: { readonly during: number[]; readonly other: number[] }[] = [];
  let walBytes = 0;
  for (let round = 0; round < plan.rounds; round++) {
    const [during, other]: [number[], number[]] = [[], []];
    await callsAtFixedTimes(
      2,
      () => reader.get("bench/read-beside"),
      () => putters.put(CALLERS, plan.seconds),
      (took) => {
        walBytes = Math.max(walBytes, statSync(`${store}-wal`).size);
        // Only checkpoints write to the file itself.
        const written = Date.now() - statSync(store).mtimeMs;
        (written <= took + COARSE_MS ? during : other).push(took);
      },
    );
    rounds.push({ during, other });
  }
  for (const wire of [reader, ...writers]) wire.close();
  return [
    {
      name: "GetSecret p99 beside puts of 60 KB, no checkpoint",
      unit: "ms",
      value: spread(rounds.map(({ other }) => p99(other))),
    },
    {
      name: "the same while a checkpoint writes",
      unit: "ms",
      value: spread(rounds.map(({ during }) => p99(during))),
    },
    { name: "largest WAL meanwhile", unit: "MB", value: spread([walBytes / 2 ** 20]) },
  ];
}
