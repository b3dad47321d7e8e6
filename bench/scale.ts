import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wire } from "../test/support/wire.ts";
import { makeLargeStore } from "./large-store.ts";
import { DEFAULTS, FEW, randomName, readsOfMany } from "./reads-of-many.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { startServer } from "./server.ts";
import { shown, spread } from "./statistics.ts";
import { upkeep } from "./upkeep.ts";

const SLOTS_EACH = 5;

/** What a server is like over a million secrets, beside one over a thousand. */
export const scale: Scenario = {
  name: "scale",
  heavy: true,
  run: (plan) =>
    withLargeStore(plan, async (large, many, folder) => {
      const few = join(folder, "few");
      await makeLargeStore({ dataDir: few, secrets: FEW, slots: SLOTS_EACH });
      return [...(await starts(plan, few, large, many)), ...(await readsOfMany(plan, few, large, many))];
    }),
};

/** What goes through every secret: a rotation of the master key, and a backup. */
export const upkeepOfMany: Scenario = {
  name: "upkeep",
  heavy: true,
  run: (plan) =>
    withLargeStore(plan, (large, many) => upkeep(plan, large, randomName(many), many * SLOTS_EACH)),
};

async function withLargeStore(
  plan: Plan,
  measure: (large: string, many: number, folder: string) => Promise<readonly Figure[]>,
): Promise<readonly Figure[]> {
  const many = plan.short ? 20_000 : 1_000_000;
  const folder = mkdtempSync(join(tmpdir(), "slots-bench-scale-"));
  try {
    const large = plan.largeStore ?? join(folder, "many");
    if (plan.largeStore === undefined) await generate(large, many);
    return await measure(large, many, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function generate(dataDir: string, secrets: number): Promise<void> {
  const began = performance.now();
  console.log(`making a store of ${shown(secrets)} secrets with ${SLOTS_EACH} slots each …`);
  await makeLargeStore({ dataDir, secrets, slots: SLOTS_EACH });
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `made in ${seconds.toFixed(0)} s, ${shown(Math.round((secrets * SLOTS_EACH) / seconds))} slots/s`,
  );
}

/** From the start of the process to the first answer it gives: in order, and after a kill. */
async function starts(plan: Plan, few: string, large: string, many: number): Promise<Figure[]> {
  const firstAnswer = async (dataDir: string, secrets: number, end: "stop" | "kill") => {
    const began = performance.now();
    const server = await startServer(plan, { dataDir, args: DEFAULTS });
    const wire = new Wire(server.address, server.adminToken);
    await wire.get(randomName(secrets)());
    const took = performance.now() - began;
    // So that a kill leaves a change that may not be in the audit log yet.
    if (end === "kill") await wire.put(`bench/start/${process.hrtime.bigint()}`, 0n, "v");
    wire.close();
    await (end === "stop" ? server.stop() : server.kill());
    return took / 1000;
  };
  const took = { few: [] as number[], many: [] as number[], killed: [] as number[] };
  for (let round = 0; round < plan.rounds; round++) {
    took.few.push(await firstAnswer(few, FEW, "stop"));
    took.many.push(await firstAnswer(large, many, "kill"));
    took.killed.push(await firstAnswer(large, many, "stop"));
  }
  return [
    { name: `start to first answer, ${shown(FEW)} secrets`, unit: "s", value: spread(took.few) },
    {
      name: `start to first answer, ${shown(many)} secrets`,
      unit: "s",
      value: spread(took.many),
      must: "<= 2",
      aim: "<= 0.5",
    },
    { name: "the same after a kill", unit: "s", value: spread(took.killed) },
  ];
}
