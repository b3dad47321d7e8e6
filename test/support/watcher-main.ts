import { Wire } from "./wire.ts";

/** Watches one secret and prints a line for each state: its first bytes and its revision. */
const [address = "", name = ""] = process.argv.slice(2);
const stream = new Wire(address, process.env.SLOTS_TEST_TOKEN).watch(name);
for await (const { revision, event } of stream) {
  if (event.case !== "current") continue;
  const start = Buffer.from(event.value.value.subarray(0, 4)).toString();
  process.stdout.write(start === "last" ? `last ${revision}\n` : `${start.slice(0, 1)}\n`);
}
