import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { seedOf } from "../support/random.ts";
import { type KeptFailure, type Progress, runCampaign } from "./campaign.ts";
import { Attempt } from "./shrink.ts";
import { METHODS } from "./targets.ts";

/**
 * Fuzzing of the RPCs for as long as one likes, with how far it got:
 *
 *   npm run fuzz -- --inputs 1000000
 *   npm run fuzz -- --rpc PutSlot
 *   npm run fuzz -- --replay test/guarantees/failures/fuzz-….json
 */
const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "50000" },
    rpc: { type: "string" },
    replay: { type: "string" },
  },
});
process.env.PATH = `${join(import.meta.dirname, "../../../node_modules/.bin")}${delimiter}${process.env.PATH}`;

if (values.replay === undefined) await run(Number(values.inputs), values.rpc);
else await replay(values.replay);

async function run(inputs: number, rpc: string | undefined): Promise<void> {
  const methods = METHODS.filter(({ name }) => rpc === undefined || name === rpc);
  if (methods.length === 0 || !(inputs > 0)) throw new Error("there is no such RPC, or nothing to send");
  const began = performance.now();
  const told = (status: Progress) => {
    const seconds = (performance.now() - began) / 1000;
    const rate = Math.round((status.inputs * methods.length) / seconds);
    console.log(
      `${new Date().toISOString()} ${status.inputs} inputs to each of ${methods.length} RPCs in ` +
        `${Math.round(seconds)} s, ${rate} a second; ${status.goodCalls} calls of the good client, the slowest ` +
        `pair ${Math.round(status.slowestMs)} ms, a thread busy for ${Math.round(status.busiestMs)} ms; grew by at most ${status.grownBytes >> 20} MiB`,
    );
  };
  let last = 0;
  const done = await runCampaign({
    methods,
    inputs,
    seed: seedOf("fuzz"),
    progress: (status) => {
      if (performance.now() - last < 10_000) return;
      last = performance.now();
      told(status);
    },
  });
  told(done);
  for (const [name, counts] of done.tally) console.log(name, JSON.stringify(Object.fromEntries(counts)));
}

async function replay(file: string): Promise<void> {
  const { cases, message } = JSON.parse(readFileSync(file, "utf8")) as KeptFailure;
  console.log(`kept was: ${message.slice(0, 1000)}`);
  const attempt = new Attempt();
  try {
    for (const { hex, ...each } of cases) {
      const problem = await attempt.problem({ ...each, bytes: Buffer.from(hex, "hex") });
      console.log(`${each.rpc} as ${each.caller}, ${hex.length / 2} bytes: ${problem ?? "as it should be"}`);
      if (problem !== undefined) process.exitCode = 1;
    }
  } finally {
    await attempt.end();
  }
}
