import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { childrenOf } from "../support/processes.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, text, Wire, WireError } from "../support/wire.ts";

const workersOf = ({ pid }: ServerProcess) => childrenOf(pid);

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
  const workers = () => workersOf(server);

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

/** The beginning of any HTTP/2 connection: the client's preface and settings. A server answers with its own. */
const HELLO = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0),
]);

describe("connections to workers that die", () => {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function start(listen?: string): Promise<ServerProcess> {
    const server = await ServerProcess.start({
      args: ["--workers", "2"],
      ...(listen === undefined ? {} : { listen }),
    });
    cleanups.push(() => server.dispose());
    return server;
  }

  /** A connection that said hello, once the server's system has it. */
  async function say(server: ServerProcess): Promise<Socket> {
    const unix = server.address.startsWith("unix:") ? server.address.slice("unix:".length) : undefined;
    const [host = "", port] = server.address.split(":");
    const socket = unix === undefined ? connect(Number(port), host) : connect(unix);
    cleanups.push(() => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    socket.on("error", () => {});
    socket.resume();
    socket.write(HELLO);
    return socket;
  }

  const answered = (sockets: readonly Socket[]) => sockets.filter(({ bytesRead }) => bytesRead > 0).length;
  const kill = (pids: readonly number[], signal: NodeJS.Signals = "SIGKILL") => {
    for (const pid of pids) process.kill(pid, signal);
  };
  const twoNew = (server: ServerProcess, old: readonly number[]) => () => {
    const now = workersOf(server);
    return now.length === 2 && !now.some((pid) => old.includes(pid));
  };

  it("are answered by another one, unless it had taken them", async () => {
    const server = await start();
    const [stopped = 0] = workersOf(server);
    kill([stopped], "SIGSTOP");
    const sockets = [await say(server), await say(server), await say(server)];
    await waitFor("the answers of the other worker", () => answered(sockets) === 2);
    kill([stopped]);
    await waitFor("an answer on every connection", () => answered(sockets) === 3);
    expect(sockets.some(({ destroyed }) => destroyed)).toBe(false);
  });

  it("end when it had taken them", async () => {
    const server = await start();
    const sockets = [await say(server), await say(server)];
    await waitFor("both to be answered", () => answered(sockets) === 2);
    kill(workersOf(server));
    await waitFor("their end", () => sockets.every(({ destroyed }) => destroyed));
  });

  it.each(["TCP", "a Unix socket"])("wait, over %s, while there is no worker", async (kind) => {
    const folder = mkdtempSync(join(tmpdir(), "slots-socket-"));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const server = await start(kind === "TCP" ? undefined : `unix:${folder}/socket`);
    if (kind !== "TCP") expect(statSync(`${folder}/socket`).mode & 0o777).toBe(0o600);
    const wire = new Wire(server.address, server.adminToken);
    cleanups.push(() => wire.close());
    await wire.put("kept", 0n, "value");

    const old = workersOf(server);
    kill(old);
    await waitFor("their end", () => !workersOf(server).some((pid) => old.includes(pid)));
    const sockets = [await say(server), await say(server), await say(server)];
    await waitFor("answers", () => answered(sockets) === 3);
    expect(sockets.some(({ destroyed }) => destroyed)).toBe(false);
    // At the address of before.
    await waitFor("a call", async () => {
      const { value } = await wire.get("kept").catch((error: WireError) => {
        expect(error.code).toBe("UNAVAILABLE");
        return { value: undefined };
      });
      return value !== undefined && text(value) === "value";
    });
    await waitFor("two workers", twoNew(server, old));
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  });

  it("wait for the replacement of a replacement that died before it was ready", async () => {
    const server = await start();
    const old = workersOf(server);
    kill(old);
    // As soon as they are there: long before they are ready.
    await waitFor("their replacements", twoNew(server, old), 60_000);
    const young = workersOf(server);
    kill(young);
    await waitFor("replacements of those", twoNew(server, [...old, ...young]));
    const socket = await say(server);
    await waitFor("an answer", () => answered([socket]) === 1);
  });
});
