import { afterAll, beforeAll, expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { runCampaign } from "./fuzz/campaign.ts";
import { METHODS } from "./fuzz/targets.ts";
import { BAD_PEERS } from "./support/bad-peers.ts";
import { GoodClient, memoryOf } from "./support/good-client.ts";
import { countOf, Random, seedOf } from "./support/random.ts";

const INPUTS = countOf("SLOTS_TEST_FUZZ", 50_000);
const ATTACK_MS = 3_000;
/** What a server may grow by under all of it. Twice what Node's heap takes before it cares to collect. */
const MEMORY_BYTES = 768 << 20;
const seed = seedOf("fuzz");

test(
  `S6: ${INPUTS} inputs of any form to each of ${METHODS.length} RPCs`,
  async () => {
    const began = performance.now();
    const { goodCalls, slowestMs, grownBytes } = await runCampaign({
      methods: METHODS,
      inputs: INPUTS,
      seed,
      progress: () => {},
    });
    const rate = Math.round((INPUTS * METHODS.length * 1000) / (performance.now() - began));
    console.log(
      `${rate} inputs a second; ${goodCalls} calls of the good client, the slowest pair ${Math.round(slowestMs)} ms; ` +
        `no server grew by more than ${grownBytes >> 20} MiB`,
    );
  },
  Math.max(1_200_000, INPUTS * 60),
);

let server: ServerProcess;
let good: GoodClient;
let memory = 0;

beforeAll(async () => {
  server = await ServerProcess.start({ args: ["--log-level", "error", "--failed-logins-burst", "1000000"] });
  good = new GoodClient(server);
  await good.next();
  memory = memoryOf(server);
});

afterAll(async () => {
  console.log(`${good.calls} calls of the good client, the slowest pair ${Math.round(good.slowestMs)} ms`);
  await good.close();
  await server.dispose();
});

async function mustBeWell(): Promise<void> {
  await good.next();
  expect(server.child.exitCode).toBeNull();
  expect(memoryOf(server) - memory).toBeLessThan(MEMORY_BYTES);
}

for (const [name, attack] of Object.entries(BAD_PEERS)) {
  test(`S6: ${name}`, async () => {
    const { address, adminToken: token } = server;
    const peers = await attack({ address, token, random: new Random(seed), until: Date.now() + ATTACK_MS });
    await mustBeWell();
    for (const peer of peers) peer.close();
    await mustBeWell();
  });
}
