import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  AbsentReason,
  SecretService,
  type WatchSlotsResponse,
  WatchView,
} from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { failure, text, Wire, type WireStream } from "../support/wire.ts";

const { disableSlot, enableSlot, destroySlot, deleteSecret } = SecretService.method;

const REASON = Object.fromEntries(Object.entries(AbsentReason).map(([name, value]) => [value, name]));

function say({ event }: WatchSlotsResponse): string {
  switch (event.case) {
    case "begin":
      return `begin ${event.value.name}`;
    case "slot":
      return `slot ${event.value.name} ${event.value.slot} ${text(event.value.value)}`;
    case "removed":
    case "failed":
      return `${event.case} ${event.value.name} ${event.value.slot}`;
    case "absent":
      return `absent ${event.value.name} ${REASON[event.value.reason]}`;
    default:
      return event.case ?? "nothing";
  }
}

/** Messages up to the next `synced` or `progress`, that one included. */
async function round(stream: WireStream<WatchSlotsResponse>) {
  const messages: WatchSlotsResponse[] = [];
  for (;;) {
    const message = await stream.take();
    messages.push(message);
    if (message.event.case === "synced" || message.event.case === "progress") break;
  }
  const words = messages.map(say);
  return {
    words,
    messages,
    token: messages.at(-1)?.resumeToken ?? "",
    revision: messages.at(-1)?.revision ?? 0n,
  };
}

describe.each(["sqlite", "memory"])("WatchSlots, on engine %s", (engine) => {
  let server: ServerProcess;
  let wire: Wire;
  const open: WireStream<WatchSlotsResponse>[] = [];
  beforeAll(async () => {
    server = await ServerProcess.start({ args: ["--engine", engine] });
    wire = new Wire(server.address, server.adminToken);
  });
  afterAll(async () => {
    for (const stream of open) stream.cancel();
    wire?.close();
    await server?.dispose();
  });
  const watch = (names: string[], more: Parameters<Wire["watchSlots"]>[1] = {}) => {
    const stream = wire.watchSlots(names, more);
    open.push(stream);
    return stream;
  };

  it("tells the live slots of every name in order of revision, then synced", async () => {
    await wire.put("ws/a", 5n, "five");
    await wire.put("ws/a", 0n, "zero");
    await wire.put("ws/a", 7n, "seven");
    await wire.call(disableSlot, { name: "ws/a", slot: 7n });
    await wire.put("ws/b", 1n, "one");
    const stream = watch(["ws/a", "ws/b"]);
    const first = await round(stream);
    expect(first.words).toEqual([
      "begin ws/a",
      "slot ws/a 5 five",
      "slot ws/a 0 zero",
      "begin ws/b",
      "slot ws/b 1 one",
      "synced",
    ]);
    for (const message of first.messages.slice(0, -1)) expect(message.resumeToken).toBe("");
    expect(first.token).not.toBe("");

    await wire.call(enableSlot, { name: "ws/a", slot: 7n });
    expect((await round(stream)).words).toEqual(["slot ws/a 7 seven", "synced"]);
    await wire.call(destroySlot, { name: "ws/a", slot: 5n });
    expect((await round(stream)).words).toEqual(["removed ws/a 5", "synced"]);
    await wire.put("ws/b", 0n, "below");
    const below = await round(stream);
    expect(below.words).toEqual(["slot ws/b 0 below", "synced"]);
    expect(below.revision).toBeGreaterThanOrEqual(below.messages[0]?.revision ?? 0n);
  });

  it("tells of the end of a secret, of one without live slots, and of its rebirth", async () => {
    const name = "ws/life";
    await wire.put(name, 3n, "v");
    const stream = watch([name]);
    await round(stream);
    await wire.call(disableSlot, { name, slot: 3n });
    expect((await round(stream)).words).toEqual([`absent ${name} NO_ENABLED_SLOT`, "synced"]);
    await wire.call(enableSlot, { name, slot: 3n });
    expect((await round(stream)).words).toEqual([`slot ${name} 3 v`, "synced"]);
    await wire.call(deleteSecret, { name });
    const gone = await round(stream);
    expect(gone.words).toEqual([`absent ${name} NOT_EXISTING`, "synced"]);
    await wire.put(name, 1n, "w");
    expect((await round(stream)).words).toEqual([`begin ${name}`, `slot ${name} 1 w`, "synced"]);
    // One that missed the end is told of it before the new secret.
    await wire.call(deleteSecret, { name });
    await wire.put(name, 2n, "x");
    const resumed = await round(watch([name], { resumeToken: gone.token }));
    expect(resumed.words).toEqual([
      `absent ${name} NOT_EXISTING`,
      `begin ${name}`,
      `slot ${name} 2 x`,
      "synced",
    ]);
  });

  it("follows only the current slot when asked to", async () => {
    const name = "ws/current";
    await wire.put(name, 0n, "zero");
    await wire.put(name, 5n, "five");
    const stream = watch([name], { view: WatchView.CURRENT });
    expect((await round(stream)).words).toEqual([`begin ${name}`, `slot ${name} 5 five`, "synced"]);
    await wire.put(name, 3n, "three");
    await wire.put(name, 6n, "six");
    expect((await round(stream)).words).toEqual([`begin ${name}`, `slot ${name} 6 six`, "synced"]);
    await wire.call(disableSlot, { name, slot: 6n });
    expect((await round(stream)).words).toEqual([`begin ${name}`, `slot ${name} 5 five`, "synced"]);
  });

  it("resumes with what changed, and begins a name that the token does not cover", async () => {
    await wire.put("ws/r1", 0n, "a");
    await wire.put("ws/r2", 0n, "b");
    const { token } = await round(watch(["ws/r1"]));
    expect((await round(watch(["ws/r1"], { resumeToken: token }))).words).toEqual(["progress"]);
    for (let slot = 1n; slot <= 5n; slot++) await wire.put("ws/r1", slot, `v${slot}`);
    await wire.call(destroySlot, { name: "ws/r1", slot: 2n });
    const { words } = await round(watch(["ws/r1", "ws/r2"], { resumeToken: token }));
    expect(words).toEqual([
      "slot ws/r1 1 v1",
      "slot ws/r1 3 v3",
      "slot ws/r1 4 v4",
      "slot ws/r1 5 v5",
      "removed ws/r1 2",
      "begin ws/r2",
      "slot ws/r2 0 b",
      "synced",
    ]);
    const otherView = await failure(watch(["ws/r1"], { resumeToken: token, view: WatchView.CURRENT }).take());
    expect(otherView.reason).toBe("BAD_RESUME_TOKEN");
  });

  it("resets a token of another epoch", async () => {
    await wire.put("ws/e", 0n, "v");
    const { token } = await round(watch(["ws/e"]));
    const elsewhere = await ServerProcess.start({ args: ["--engine", engine] });
    const other = new Wire(elsewhere.address, elsewhere.adminToken);
    await other.put("ws/e", 4n, "w");
    const stream = other.watchSlots(["ws/e", "ws/none"], { resumeToken: token });
    expect((await round(stream)).words).toEqual([
      "historyReset",
      "begin ws/e",
      "slot ws/e 4 w",
      "begin ws/none",
      "absent ws/none NOT_EXISTING",
      "synced",
    ]);
    stream.cancel();
    other.close();
    await elsewhere.dispose();
  });

  it("names what is missing, unless it may be", async () => {
    await wire.put("ws/there", 0n, "v");
    const error = await failure(watch(["ws/there", "ws/missing"]).take());
    expect([error.reason, error.metadata.name]).toEqual(["SECRET_NOT_FOUND", "ws/missing"]);
    const { words } = await round(watch(["ws/there", "ws/missing"], { allowMissing: true }));
    expect(words).toContain("absent ws/missing NOT_EXISTING");
  });

  it("covers a thousand names with one token", async () => {
    const names = Array.from({ length: 1000 }, (_, index) => `ws/k/${String(index).padStart(200, "0")}`);
    await Promise.all(names.slice(0, 50).map((name) => wire.put(name, 0n, "v")));
    const { token } = await round(watch(names, { allowMissing: true }));
    expect(token.length).toBeLessThanOrEqual(16 * 1024);
    expect((await round(watch(names, { resumeToken: token }))).words).toEqual(["progress"]);
  });

  it("closes each set at one revision of the store while writers write (W5)", async () => {
    const names = ["ws/t/a", "ws/t/b"];
    for (const name of names) await wire.put(name, 0n, "0");
    const stream = watch(names);
    const live = new Map<string, Map<bigint, bigint>>();
    // Each writer puts slot n to a, then to b: at one revision, b is never ahead of a, and behind by at most one.
    const writing = (async () => {
      for (let slot = 1n; slot <= 200n; slot++)
        for (const name of names) await wire.put(name, slot, String(slot));
    })();
    for (let done = false; !done; ) {
      const { messages } = await round(stream);
      const seen = new Map<string, bigint>();
      for (const { revision, event } of messages) {
        if (event.case !== "slot") continue;
        const { name, slot = 0n } = event.value;
        expect(revision).toBeGreaterThan(seen.get(name) ?? 0n);
        seen.set(name, revision);
        const slots = live.get(name) ?? new Map<bigint, bigint>();
        live.set(name, slots.set(slot, revision));
      }
      const [a, b] = names.map((name) => BigInt(live.get(name)?.size ?? 0));
      expect([0n, 1n]).toContain((a ?? 0n) - (b ?? 0n));
      done = a === 201n && b === 201n;
    }
    await writing;
  });
});
