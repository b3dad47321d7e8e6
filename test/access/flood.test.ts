import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NODE, ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";
import { auditLines } from "./audit-records.ts";

/** Guessing tokens at full speed. On demand: SLOTS_TEST_WRONG_TOKENS=1000000 SLOTS_TEST_AT_ONCE=500. */
const TRIES = Number(process.env.SLOTS_TEST_WRONG_TOKENS ?? 6_000);
const GOOD_CALLS = 1_000;
let server: ServerProcess;
let good: Wire;

beforeAll(async () => {
  server = await ServerProcess.start();
  good = new Wire(server.address, server.adminToken);
  await good.put("db", 0n, "value");
});

afterAll(async () => {
  good?.close();
  await server?.dispose();
});

/** Milliseconds that each call of a good client took, in rising order: at least 1,000 of them, and until `over`. */
async function goodCalls(over: () => boolean): Promise<number[]> {
  const times: number[] = [];
  while (times.length < GOOD_CALLS || !over()) {
    const from = performance.now();
    await good.get("db");
    times.push(performance.now() - from);
    if (times.length % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return times.sort((a, b) => a - b);
}

const p99 = (times: number[]) => times[Math.floor(times.length * 0.99)] ?? 0;

test(`${TRIES} wrong tokens: none is let in, and good clients are served meanwhile`, {
  timeout: 60_000 + TRIES * 5,
}, async () => {
  await goodCalls(() => true);
  const idle = await goodCalls(() => true);
  const attacker = spawn(NODE, [join(import.meta.dirname, "flood-main.ts"), server.address, String(TRIES)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  attacker.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const from = performance.now();
  let ended = 0;
  const exit = once(attacker, "exit").finally(() => {
    ended = performance.now();
  });
  const flooded = await goodCalls(() => ended > 0);
  await exit;

  const codes = JSON.parse(output) as Record<string, number>;
  expect(Object.keys(codes).sort()).toEqual(["RESOURCE_EXHAUSTED", "UNAUTHENTICATED"]);
  expect((codes.RESOURCE_EXHAUSTED ?? 0) + (codes.UNAUTHENTICATED ?? 0)).toBe(TRIES);
  const rate = (TRIES / (ended - from)) * 1000;
  console.log(
    `${JSON.stringify(codes)} at ${rate.toFixed(0)} a second; a good client's p99: ${p99(idle).toFixed(2)} ms idle, ` +
      `${p99(flooded).toFixed(2)} ms meanwhile, ${(p99(flooded) / p99(idle)).toFixed(1)} times`,
  );
  // Strangers can't fill the disk: all of them are counted, in a few records.
  const refusals = () => auditLines(join(server.dataDir, "audit")).filter(({ kind }) => kind === "refusals");
  const counted = () => refusals().reduce((sum, { count = 0 }) => sum + count, 0);
  await waitFor("all to be counted", () => counted() === TRIES);
  expect(refusals().length).toBeLessThan(10 + (ended - from) / 100);
});
