import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { memoryOf } from "../support/processes.ts";
import { NODE, ServerProcess } from "../support/server-process.ts";
import { runCampaign } from "./fuzz/campaign.ts";
import { openAndCancel } from "./fuzz/open-and-cancel.ts";
import { METHODS } from "./fuzz/targets.ts";
import { BAD_PEERS } from "./support/bad-peers.ts";
import { GoodClient } from "./support/good-client.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { limitMs } from "./support/time-limit.ts";

const INPUTS = countOf("SLOTS_TEST_FUZZ", 50_000);
const CANCELS = countOf("SLOTS_TEST_CANCELS", 20_000);
const PARSER_SECONDS = countOf("SLOTS_TEST_PARSER_SECONDS", 25);
/** What is found by one run of many belongs on a developer's table, not in the way of somebody's change. */
const PARSER_SEED = process.env.SLOTS_TEST_SEED ?? "1";
const ATTACK_MS = 3_000;
/** Places for calls and watches that, were they not given back, cancelled calls would soon have taken. */
const PLACES = 3000;
/** What a server may grow by under all of it. Twice what Node's heap takes before it cares to collect. */
const MEMORY_BYTES = 768 << 20;
const seed = seedOf("fuzz");

test(
  `S6: ${INPUTS} inputs of any form to each of ${METHODS.length} RPCs`,
  async () => {
    const began = performance.now();
    const { goodCalls, slowestMs, busiestMs, grownBytes } = await runCampaign({
      methods: METHODS,
      inputs: INPUTS,
      seed,
      progress: () => {},
    });
    const rate = Math.round((INPUTS * METHODS.length * 1000) / (performance.now() - began));
    console.log(
      `${rate} inputs a second; ${goodCalls} calls of the good client, the slowest pair ${Math.round(slowestMs)} ms, ` +
        `a thread of the server busy for ${Math.round(busiestMs)} ms; ` +
        `no server grew by more than ${grownBytes >> 20} MiB`,
    );
  },
  limitMs(INPUTS, 60),
);

test(
  `our own parsers, for ${PARSER_SECONDS} s of processor time led by what runs inside them`,
  async () => {
    // In a process of its own: what is counted there must be nobody else's.
    const main = join(import.meta.dirname, "fuzz/parsers/main.ts");
    const { stdout } = await promisify(execFile)(NODE, [main], {
      env: { ...process.env, SLOTS_TEST_SEED: PARSER_SEED, SLOTS_TEST_PARSER_SECONDS: `${PARSER_SECONDS}` },
    });
    console.log(stdout);
  },
  limitMs(PARSER_SECONDS, 20_000),
);

let server: ServerProcess;
let good: GoodClient;
let memory = 0;

beforeAll(async () => {
  const bounds = ["--max-calls-per-identity", `${PLACES}`, "--max-watches-per-identity", `${PLACES}`];
  server = await ServerProcess.start({
    args: ["--log-level", "error", "--failed-logins-burst", "1000000", ...bounds],
  });
  good = new GoodClient(server);
  await good.next();
  memory = memoryOf(server.pid);
});

afterAll(async () => {
  console.log(
    `${good.calls} calls of the good client, the slowest pair ${Math.round(good.slowestMs)} ms, ` +
      `a thread of the server busy for ${Math.round(good.busiestMs)} ms`,
  );
  await good.close();
  await server.dispose();
});

async function mustBeWell(): Promise<void> {
  await good.next();
  expect(server.child.exitCode).toBeNull();
  expect(memoryOf(server.pid) - memory).toBeLessThan(MEMORY_BYTES);
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

test(
  `S6: ${CANCELS} calls that are opened and cancelled`,
  async () => {
    const { address, adminToken: token } = server;
    const { connections, cancelled } = await openAndCancel(
      { address, token, random: new Random(seed) },
      CANCELS,
    );
    console.log(`${cancelled} of ${CANCELS} were cancelled in time, over ${connections} connections`);
    expect(cancelled).toBeGreaterThan(PLACES);
    await mustBeWell();
  },
  limitMs(CANCELS, 5),
);
