import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, text, Wire, WireError } from "../support/wire.ts";

/** One server of several processes. Connections go to them in turn, so a few callers reach all of them. */
describe("serve --workers", () => {
  let server: ServerProcess;
  let wires: Wire[];
  beforeAll(async () => {
    server = await ServerProcess.start({ args: ["--workers", "2"] });
    wires = Array.from({ length: 6 }, () => new Wire(server.address, server.adminToken));
  });
  afterAll(async () => {
    for (const wire of wires ?? []) wire.close();
    await server?.dispose();
  });
  const workers = () =>
    execFileSync("ps", ["-o", "pid=", "--ppid", String(server.child.pid)], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);

  it("shows each commit on every worker from its answer on, and to every watcher (W10)", async () => {
    expect(workers().length).toBeGreaterThanOrEqual(2);
    const [writer = new Wire("", "")] = wires;
    await writer.put("workers/a", 0n, "0");
    const streams = wires.map((wire) => wire.watch("workers/a"));
    for (const stream of streams) await stream.take();
    for (let slot = 1n; slot <= 20n; slot++) {
      await (wires[Number(slot) % wires.length] as Wire).put("workers/a", slot, String(slot));
      for (const answer of await Promise.all(wires.map((wire) => wire.get("workers/a")))) {
        expect(text(answer.value)).toBe(String(slot));
      }
    }
    for (const stream of streams) {
      let last = await stream.take();
      while (last.event.case !== "current" || last.event.value.slot !== 20n) last = await stream.take();
      stream.cancel();
    }
  });

  it("ends the streams of a revoked token on every worker (W12)", async () => {
    const [admin = new Wire("", "")] = wires;
    const { token, tokenId } = await admin.createToken("token:admin");
    const holders = Array.from({ length: 4 }, () => new Wire(server.address, token));
    await admin.put("workers/b", 0n, "v");
    const streams = holders.map((wire) => wire.watch("workers/b"));
    for (const stream of streams) await stream.take();
    const { AdminService } = await import("../../gen/ts/secretslots/v1/admin_service_pb.ts");
    await admin.call(AdminService.method.revokeToken, { tokenId });
    for (const stream of streams) expect((await failure(stream.take())).code).toBe("UNAUTHENTICATED");
    for (const wire of holders) {
      expect((await failure(wire.get("workers/b"))).code).toBe("UNAUTHENTICATED");
      wire.close();
    }
  });

  it("replaces a worker that died, and loses nothing that was answered", async () => {
    const [victim = 0] = workers();
    process.kill(victim, "SIGKILL");
    let slot = 0n;
    await waitFor("puts on all callers again", async () => {
      slot += 1n;
      const results = await Promise.allSettled(
        wires.map((wire, index) => wire.put(`workers/c${index}`, slot, String(slot))),
      );
      for (const [index, result] of results.entries()) {
        if (result.status === "rejected") {
          expect(result.reason).toBeInstanceOf(WireError);
          continue;
        }
        const { value } = await (wires[index] as Wire).get(`workers/c${index}`).catch((error: WireError) => {
          expect(error.code).toBe("UNAVAILABLE");
          return { value: Buffer.from(String(slot)) };
        });
        expect(text(value)).toBe(String(slot));
      }
      return results.every(({ status }) => status === "fulfilled");
    });
    await waitFor("a second worker", () => workers().length >= 2 && !workers().includes(victim));
    const { slotCount } = await (wires[0] as Wire).call(SecretService.method.describeSecret, {
      name: "workers/c0",
    });
    expect(slotCount).toBeGreaterThan(0);
  });

  it("ends in order", async () => {
    const two = await ServerProcess.start({ args: ["--workers", "2"] });
    const wire = new Wire(two.address, two.adminToken);
    await wire.put("end", 0n, "v");
    const stream = wire.watch("end");
    await stream.take();
    const exit = two.stop();
    const end = await failure(stream.take());
    expect([end.code, end.reason]).toEqual(["UNAVAILABLE", "DRAINING"]);
    expect(await exit).toEqual({ code: 0, signal: null });
    wire.close();
    await two.dispose();
  });
});
