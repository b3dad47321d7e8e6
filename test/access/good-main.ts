import { Wire } from "../support/wire.ts";

/**
 * A good client: reads a secret every few milliseconds, whether or not the reads before were answered, so that a slow
 * answer is not followed by fewer calls. Asked by its parent, it tells how long the calls since it was last asked took,
 * milliseconds, and what failed.
 */
const EVERY_MS = 4;
const wire = new Wire(process.argv[2] ?? "", process.env.SLOTS_TEST_TOKEN);
let calls: Promise<number>[] = [];

async function timed(): Promise<number> {
  const from = performance.now();
  await wire.get("db");
  return performance.now() - from;
}

setInterval(() => {
  const call = timed();
  call.catch(() => {});
  calls.push(call);
}, EVERY_MS);

process.on("message", () => {
  const made = calls;
  calls = [];
  void Promise.allSettled(made).then((results) => {
    const times = results.filter((result) => result.status === "fulfilled").map(({ value }) => value);
    const failures = results
      .filter((result) => result.status === "rejected")
      .map(({ reason }) => `${reason}`);
    process.send?.({ times, failures });
  });
});
process.once("disconnect", () => process.exit());
