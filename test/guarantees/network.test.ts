import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { memoryOf } from "../support/processes.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { needs } from "./support/needs.ts";
import { Machine, NEAR_ADDRESS, Network, within } from "./support/network.ts";
import { countOf } from "./support/random.ts";

const CROWD = countOf("SLOTS_TEST_HALF_OPEN", 200);
const NAME = "network/watched";
/** A ping after 30 s, its answer within 10 s; the rest is for a machine that is busy. */
const NOTICED_MS = 40_000 + 35_000;
/** A connection attempt made just before the cable is back sends its next packet up to 16 s later. */
const BACK_MS = 60_000;
const MEMORY_BYTES = 192 << 20;

const script = (name: string) => join(import.meta.dirname, "support", `${name}.ts`);
const machines: Machine[] = [];
let network: Network | undefined;
let server: ServerProcess | undefined;

afterEach(async () => {
  for (const machine of machines.splice(0)) machine.stop();
  await server?.dispose();
  network?.dispose();
});

/** TCP connections of a process, the ones that it listens on included. */
function socketsOf({ child }: ServerProcess): number {
  const folder = `/proc/${child.pid}/fd`;
  return readdirSync(folder).filter((fd) => {
    try {
      return readlinkSync(join(folder, fd)).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

test.skipIf(!needs("namespaces"))(
  "S6 W6 W14: a cable that is cut without a word, with half-open connections and a client behind it",
  async () => {
    network = new Network();
    network.create();
    const { near, far } = network;
    const running = await ServerProcess.start({
      under: within(near),
      listen: "0.0.0.0:0",
      args: ["--tls-at-proxy", "--log-level", "warn"],
    });
    server = running;
    const port = running.address.split(":").at(-1);
    const start = (namespace: string, name: string, host: string, ...more: string[]) => {
      const env = { SLOTS_TEST_TOKEN: running.adminToken };
      const machine = new Machine(namespace, script(name), [`${host}:${port}`, NAME, ...more], env);
      machines.push(machine);
      return machine;
    };
    const good = start(near, "network-good", "127.0.0.1", `${running.pid}`);
    await waitFor("the good client", () => good.last("begun"));
    const before = socketsOf(running);
    const memory = memoryOf(running.pid);

    const client = start(far, "network-client", NEAR_ADDRESS);
    const crowd = start(far, "network-crowd", NEAR_ADDRESS, String(CROWD));
    await waitFor("the crowd", () => crowd.last("open") === CROWD && client.last("held"));
    await waitFor("the server to take them in", () => socketsOf(running) > before + CROWD);

    network.cut();
    const cutAt = performance.now();
    const since = () => Math.round((performance.now() - cutAt) / 100) / 10;
    let dropped = 0;
    let noticed = 0;
    let most = 0;
    const look = () => {
      most = Math.max(most, memoryOf(running.pid) - memory);
      if (dropped === 0 && socketsOf(running) <= before) dropped = since();
      if (noticed === 0 && client.last("lost") !== undefined) noticed = since();
      return dropped > 0 && noticed > 0;
    };
    await waitFor("both ends noticing", look, NOTICED_MS).catch((error) => {
      throw new Error(`${socketsOf(running) - before} connections left, the client: ${noticed}`, {
        cause: error,
      });
    });
    expect(most).toBeLessThan(MEMORY_BYTES);
    const kept = client.last("held");
    good.tell("stop");
    const last = await waitFor("the end of the good client", () => good.last("last"));
    expect(good.last("problems")).toEqual([]);
    // W14: it goes on with what it had.
    expect(client.last("held")).toBe(kept);
    expect(kept).not.toBe(last);
    network.heal();
    const healed = since();
    await waitFor("the client to have the last value", () => client.last("held") === last, BACK_MS);
    console.log(
      `${CROWD} half-open connections dropped after ${dropped} s, the client noticed after ${noticed} s and had the ` +
        `last value ${(since() - healed).toFixed(1)} s after the cable was whole; at most ${most >> 20} MiB more ` +
        `memory; ${good.last("calls")} calls of the good client, the slowest pair ` +
        `${Math.round(Number(good.last("slowestMs")))} ms`,
    );
  },
  300_000,
);
