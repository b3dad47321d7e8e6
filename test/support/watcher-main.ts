import { Wire } from "./wire.ts";

/**
 * Watches one secret and prints a line for each state: its first bytes and its revision. SIGUSR2 makes it stop to take
 * messages, a second one go on; its connection lives all the while, so it is slow and not gone.
 */
const [address = "", name = ""] = process.argv.slice(2);
let stopped: PromiseWithResolvers<void> | undefined;
process.on("SIGUSR2", () => {
  stopped?.resolve();
  stopped = stopped === undefined ? Promise.withResolvers() : undefined;
});
const stream = new Wire(address, process.env.SLOTS_TEST_TOKEN).watch(name);
for await (const { revision, event } of stream) {
  if (event.case !== "current") continue;
  const start = Buffer.from(event.value.value.subarray(0, 4)).toString();
  process.stdout.write(start === "last" ? `last ${revision}\n` : `${start.slice(0, 1)}\n`);
  await stopped?.promise;
}
