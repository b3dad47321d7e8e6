import { describe, expect, it } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { text, Wire } from "../support/wire.ts";

describe("two server processes on one store (W10)", () => {
  it("see each other's commits: in the next call, and on open watches", async () => {
    const one = await ServerProcess.start();
    const two = await ServerProcess.start({ dataDir: one.dataDir });
    const [left, right] = [new Wire(one.address, one.adminToken), new Wire(two.address, two.adminToken)];
    await left.put("shared", 0n, "0");
    const stream = right.watch("shared");
    await stream.take();
    const times: number[] = [];
    for (let slot = 1n; slot <= 50n; slot++) {
      const writer = slot % 2n === 0n ? left : right;
      const reader = slot % 2n === 0n ? right : left;
      await writer.put("shared", slot, String(slot));
      const since = performance.now();
      // Answered, so whoever asks from now on must see it, on whichever process.
      expect(text((await reader.get("shared")).value)).toBe(String(slot));
      const told = await stream.take();
      if (writer === left) times.push(performance.now() - since);
      expect(told.event.case === "current" && told.event.value.slot).toBe(slot);
    }
    times.sort((a, b) => a - b);
    console.log(
      `a commit of the other process reached a watcher after ${times[times.length >> 1]?.toFixed(1)} ms (median)`,
    );
    stream.cancel();
    left.close();
    right.close();
    await two.kill();
    await one.dispose();
  });

  it("can both write, and number revisions as one", async () => {
    const one = await ServerProcess.start();
    const two = await ServerProcess.start({ dataDir: one.dataDir });
    const [left, right] = [new Wire(one.address, one.adminToken), new Wire(two.address, two.adminToken)];
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        (index % 2 === 0 ? left : right).put(`both/${index % 10}`, BigInt(index), `v${index}`),
      ),
    );
    expect(new Set(answers.map(({ revision }) => revision)).size).toBe(100);
    left.close();
    right.close();
    await two.kill();
    await one.dispose();
  });
});
