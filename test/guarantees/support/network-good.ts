import { createInterface } from "node:readline";
import { Wire } from "../../support/wire.ts";
import { GoodClient } from "./good-client.ts";

/** On the server's own machine: a good client, and one that gives a secret a new value again and again. */
const [address = "", name = "", pid = ""] = process.argv.slice(2);
const adminToken = process.env.SLOTS_TEST_TOKEN ?? "";
const tell = (what: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(what)}\n`);
const PAUSE_MS = 100;
const PADDING = " ".repeat(30_000);

const wire = new Wire(address, adminToken);
const good = new GoodClient({ address, adminToken, pid: Number(pid) });
await good.next();
let stopped = false;
createInterface({ input: process.stdin }).once("line", () => {
  stopped = true;
});
let slot = 0n;
for (; !stopped; slot += 1n) {
  await wire.put(name, slot, `value ${slot}${PADDING}`);
  if (slot === 0n) tell({ begun: true });
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
await good.next();
await good.close();
wire.close();
tell({ last: `value ${slot - 1n}`, calls: good.calls, slowestMs: good.slowestMs, problems: good.problems });
