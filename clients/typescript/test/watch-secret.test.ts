import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AbsentReason } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { type Client, connect, type WatchEvent, type WatchOptions } from "../src/index.ts";
import { eventually } from "./eventually.ts";
import { Refusal, ScriptedServer, type ScriptedStream } from "./scripted-server.ts";

vi.setConfig({ testTimeout: 60_000 });

let server: ScriptedServer;
let client: Client;
let abort: AbortController;

beforeEach(async () => {
  server = await ScriptedServer.start();
  client = connect({ address: server.address });
  abort = new AbortController();
});

afterEach(() => {
  abort.abort();
  client.close();
  server.stop();
});

function watch(options: WatchOptions = {}): { seen: string[]; ended: Promise<void> } {
  const seen: string[] = [];
  const ended = (async () => {
    for await (const event of client.watchSecret("s", { signal: abort.signal, ...options }))
      seen.push(shown(event));
  })();
  ended.catch(() => {});
  return { seen, ended };
}

function shown(event: WatchEvent): string {
  switch (event.type) {
    case "current":
      return `${event.version.revision} ${event.version.slot}=${event.version.value.text()}`;
    case "absent":
      return `${event.revision} ${event.reason}`;
    case "history_reset":
      return `reset ${event.epoch}`;
  }
}

function current(stream: ScriptedStream, revision: bigint, slot: bigint, text: string): void {
  const value = { name: "s", slot, value: new TextEncoder().encode(text) };
  stream.sendSecret({ revision, resumeToken: `t${revision}`, event: { case: "current", value } });
}

describe("watchSecret", () => {
  it("gives each state, resumes where it was cut, and lets nothing older through", async () => {
    const { seen, ended } = watch();
    const first = await server.nextStream();
    current(first, 3n, 5n, "a");
    first.sendSecret({ revision: 4n, resumeToken: "t4", event: { case: "progress", value: {} } });
    first.sendSecret({ revision: 4n, resumeToken: "t4" });
    await eventually(() => seen.length === 1);
    first.fail(new Refusal(status.UNAVAILABLE, "DRAINING"));
    const second = await server.nextStream();
    expect(second.request.resumeToken).toBe("t4");
    current(second, 2n, 9n, "older");
    current(second, 6n, 0n, "b");
    const reason = AbsentReason.NO_ENABLED_SLOT;
    second.sendSecret({ revision: 7n, resumeToken: "t7", event: { case: "absent", value: { reason } } });
    await eventually(() => seen.length === 3);
    abort.abort();
    await ended;
    expect(seen).toEqual(["3 5=a", "6 0=b", "7 NO_ENABLED_SLOT"]);
    await second.cancelled;
  });

  it("says when the history was cut, and takes what follows", async () => {
    const { seen } = watch({ resumeToken: "old" });
    const stream = await server.nextStream();
    expect(stream.request.resumeToken).toBe("old");
    current(stream, 9n, 1n, "a");
    stream.sendSecret({
      revision: 1n,
      epoch: "e2",
      resumeToken: "x",
      event: { case: "historyReset", value: {} },
    });
    const value = { name: "s", slot: 0n, value: new Uint8Array() };
    stream.sendSecret({ revision: 1n, epoch: "e2", resumeToken: "y", event: { case: "current", value } });
    await eventually(() => seen.length === 3);
    expect(seen).toEqual(["9 1=a", "reset e2", "1 0="]);
  });

  it.each([
    status.NOT_FOUND,
    status.PERMISSION_DENIED,
    status.INVALID_ARGUMENT,
    status.DATA_LOSS,
    status.UNIMPLEMENTED,
  ])("ends with what no waiting mends (%i)", async (code) => {
    const { ended } = watch();
    (await server.nextStream()).fail(new Refusal(code, "WHY"));
    await expect(ended).rejects.toMatchObject({ reason: "WHY" });
  });

  it("reads the token again once, then ends", async () => {
    const { ended } = watch();
    for (let i = 0; i < 2; i++)
      (await server.nextStream()).fail(new Refusal(status.UNAUTHENTICATED, `NO${i}`));
    await expect(ended).rejects.toMatchObject({ code: "UNAUTHENTICATED", reason: "NO1" });
  });

  it("drops a token that the server does not take", async () => {
    watch({ resumeToken: "bad" });
    (await server.nextStream()).fail(new Refusal(status.INVALID_ARGUMENT, "BAD_RESUME_TOKEN"));
    expect((await server.nextStream()).request.resumeToken).toBe("");
  });

  it("ends with its client", async () => {
    const { ended } = watch();
    const stream = await server.nextStream();
    client.close();
    await ended;
    await stream.cancelled;
  });
});
