import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { memoryOf } from "../support/processes.ts";
import { NODE, ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { text, Wire } from "../support/wire.ts";

/** Resident memory of a process, bytes. */
describe("many watchers", () => {
  it("all get a rotation", async () => {
    const server = await ServerProcess.start();
    const wires = Array.from({ length: 10 }, () => new Wire(server.address, server.adminToken));
    const wireOf = (index: number) => wires[index % wires.length] as Wire;
    await wireOf(0).put("fan", 0n, "old");
    const watches = Array.from({ length: 1000 }, (_, index) => wireOf(index).watch("fan"));
    await Promise.all(watches.map((watch) => watch.take()));
    const since = performance.now();
    const told = Promise.all(watches.map((watch) => watch.take()));
    await wireOf(0).put("fan", 1n, "new");
    for (const { event } of await told)
      expect(event.case === "current" && text(event.value.value)).toBe("new");
    console.log(`1,000 watchers had the rotation after ${(performance.now() - since).toFixed(0)} ms`);
    for (const watch of watches) watch.cancel();
    for (const wire of wires) wire.close();
    await server.dispose();
  });

  it("that take nothing hold nothing up, cost no memory, and get the last value when they go on (W5, W6, W13)", async () => {
    const server = await ServerProcess.start({
      args: ["--max-slots-per-secret", "20000", "--slow-consumer-seconds", "3600"],
    });
    const wire = new Wire(server.address, server.adminToken);
    const name = "stopped";
    const value = (slot: number) => Buffer.alloc(32 * 1024, String(slot));
    await wire.put(name, 0n, value(0));
    // A process of its own, so that what it holds is none of ours.
    const watcher = spawn(
      NODE,
      [join(import.meta.dirname, "../support/watcher-main.ts"), server.address, name],
      {
        env: { ...process.env, SLOTS_TEST_TOKEN: server.adminToken },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    let printed = "";
    watcher.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
    });
    await waitFor("the watcher's first value", () => printed.includes("0\n"));
    watcher.kill("SIGUSR2");
    const puts = 10_000;
    const putAll = async (from: number, to: number) => {
      for (let slot = from; slot < to; slot += 100) {
        await Promise.all(
          Array.from({ length: 100 }, (_, index) =>
            wire.put(name, BigInt(slot + index), value(slot + index)),
          ),
        );
      }
    };
    await putAll(1, 2001);
    const before = memoryOf(server.pid);
    await putAll(2001, puts + 1);
    const grown = memoryOf(server.pid) - before;
    const { revision } = await wire.put(name, BigInt(puts + 1), "last");
    watcher.kill("SIGUSR2");
    await waitFor("the last value", () => printed.includes(`last ${revision}\n`));
    const messages = printed.trim().split("\n").length;
    console.log(
      `a watcher that took nothing through ${puts} puts got ${messages} messages; the server grew by ${Math.round(grown / 2 ** 20)} MiB`,
    );
    // Its own gRPC library takes sixteen ahead.
    expect(messages).toBeLessThan(40);
    expect(grown).toBeLessThan(200 * 2 ** 20);
    watcher.kill("SIGKILL");
    wire.close();
    await server.dispose();
  }, 600_000);
});
