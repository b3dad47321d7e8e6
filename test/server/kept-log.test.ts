import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  SecretService,
  type WatchSecretResponse,
  type WatchSlotsResponse,
} from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { Machine } from "../guarantees/model/machine/machine.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { text, Wire, type WireStream } from "../support/wire.ts";

const HOUR_MS = 3_600_000;

/** A token that is older than the log of changes is kept for says so, and the state follows (W8). */
describe.each(["sqlite", "memory"])("a token older than the kept log, on engine %s", (engine) => {
  let folder: string;
  let machine: Machine;
  let server: ServerProcess;
  let wire: Wire;
  const open: WireStream<unknown>[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "slots-kept-log-"));
    machine = new Machine(join(folder, "machine"));
    const args = ["--engine", engine, "--change-retention-hours", "1"];
    server = await ServerProcess.start({ args, env: machine.env, dataDir: join(folder, "store") });
    wire = new Wire(server.address, server.adminToken);
  });
  afterAll(async () => {
    for (const stream of open) stream.cancel();
    wire?.close();
    await server?.kill();
    machine?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const kept = <T extends WireStream<unknown>>(stream: T): T => {
    open.push(stream);
    return stream;
  };
  const watch = (name: string, resumeToken = "") =>
    kept(wire.watch(name, { resumeToken, allowMissing: true }));
  const watchSlots = (names: string[], resumeToken = "") =>
    kept(wire.watchSlots(names, { resumeToken, allowMissing: true }));

  it("begins anew after a history_reset, whatever became of the secret", async () => {
    const names = ["log/deleted", "log/reborn", "log/same", "log/written"] as const;
    for (const name of names) await wire.put(name, 1n, "old");
    const tokens = new Map<string, string>();
    for (const name of names) tokens.set(name, (await watch(name).take()).resumeToken);
    const set = (await untilWhole(watchSlots([...names]))).token;

    for (const name of ["log/deleted", "log/reborn"])
      await wire.call(SecretService.method.deleteSecret, { name });
    await wire.put("log/reborn", 3n, "new");
    await wire.put("log/written", 2n, "new");
    // While the log is kept, each token is worth something.
    expect(await firstOf(watch("log/same", tokens.get("log/same")))).toBe("progress");
    expect(await firstOf(watch("log/deleted", tokens.get("log/deleted")))).toBe("absent");

    machine.setClock(2 * HOUR_MS);
    // The newest change is always kept; this one is.
    const last = await wire.put("log/last", 0n, "v");
    await waitFor("the older changes are forgotten", async () => {
      return (await firstOf(watch("log/same", tokens.get("log/same")))) === "historyReset";
    });
    const after = [];
    for (const name of names) {
      const stream = watch(name, tokens.get(name));
      after.push(say(await stream.take()), say(await stream.take()));
    }
    expect(after).toEqual([
      ...["historyReset", "absent"],
      ...["historyReset", "current 3 new"],
      ...["historyReset", "current 1 old"],
      ...["historyReset", "current 2 new"],
    ]);
    const whole = await untilWhole(watchSlots([...names], set));
    expect(whole.words).toEqual([
      "historyReset",
      ...["begin log/deleted", "absent log/deleted"],
      ...["begin log/reborn", "slot log/reborn 3 new"],
      ...["begin log/same", "slot log/same 1 old"],
      ...["begin log/written", "slot log/written 1 old", "slot log/written 2 new"],
      "synced",
    ]);
    // What they were given now is of the kept log, and worth something again.
    expect(await firstOf(watchSlots([...names], whole.token))).toBe("progress");
    const anew = watch("log/written", tokens.get("log/written"));
    await anew.take();
    const { resumeToken, epoch } = await anew.take();
    expect(epoch).toBe(last.epoch);
    expect(await firstOf(watch("log/written", resumeToken))).toBe("progress");
  });
});

type Message = WatchSecretResponse | WatchSlotsResponse;

async function firstOf(stream: WireStream<Message>): Promise<string | undefined> {
  const { event } = await stream.take();
  stream.cancel();
  return event.case;
}

/** Messages up to the first `synced`. */
async function untilWhole(stream: WireStream<WatchSlotsResponse>) {
  const words: string[] = [];
  for (;;) {
    const message = await stream.take();
    words.push(say(message));
    if (message.event.case === "synced") return { words, token: message.resumeToken };
  }
}

function say({ event }: Message): string {
  switch (event.case) {
    case "current":
      return `current ${event.value.slot} ${text(event.value.value)}`;
    case "slot":
      return `slot ${event.value.name} ${event.value.slot} ${text(event.value.value)}`;
    case "begin":
      return `begin ${event.value.name}`;
    case "absent":
      return "name" in event.value && event.value.name !== "" ? `absent ${event.value.name}` : "absent";
    default:
      return event.case ?? "nothing";
  }
}
