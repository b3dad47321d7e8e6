import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  AbsentReason,
  SecretService,
  type WatchSecretResponse,
} from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { failure, text, Wire, type WireStream } from "../support/wire.ts";

const { disableSlot, enableSlot, destroySlot, deleteSecret, updateSecret } = SecretService.method;

const REASON = Object.fromEntries(Object.entries(AbsentReason).map(([name, value]) => [value, name]));

/** A message as a word, a slot and a value: `current 5 v`. */
function say({ event }: WatchSecretResponse): string {
  switch (event.case) {
    case "current":
      return `current ${event.value.slot} ${text(event.value.value)}`;
    case "absent":
      return `absent ${REASON[event.value.reason]}`;
    default:
      return event.case ?? "nothing";
  }
}

describe.each(["sqlite", "memory"])("WatchSecret, on engine %s", (engine) => {
  let server: ServerProcess;
  let wire: Wire;
  const open: WireStream<WatchSecretResponse>[] = [];
  beforeAll(async () => {
    server = await ServerProcess.start({ args: ["--engine", engine] });
    wire = new Wire(server.address, server.adminToken);
  });
  afterAll(async () => {
    for (const stream of open) stream.cancel();
    wire?.close();
    await server?.dispose();
  });
  const watch = (name: string, more: Parameters<Wire["watch"]>[1] = {}) => {
    const stream = wire.watch(name, more);
    open.push(stream);
    return stream;
  };

  it("begins with the state, then tells each new one, revisions rising (W2, W3)", async () => {
    const name = "watch/plain";
    const put = await wire.put(name, 0n, "a");
    const stream = watch(name);
    const first = await stream.take();
    expect(say(first)).toBe("current 0 a");
    expect(first.revision).toBe(put.revision);
    const second = await wire.put(name, 5n, "b");
    const told = await stream.take();
    expect([say(told), told.revision]).toEqual(["current 5 b", second.revision]);
    expect(told.epoch).toBe(second.epoch);
  });

  it("tells nothing of a put below the current slot or of metadata (W11)", async () => {
    const name = "watch/below";
    await wire.put(name, 5n, "five");
    const stream = watch(name);
    await stream.take();
    await wire.put(name, 3n, "three");
    await wire.call(updateSecret, { name, comment: "x", updateMask: { paths: ["comment"] } });
    await wire.call(disableSlot, { name, slot: 3n });
    await wire.put(name, 6n, "six");
    expect(say(await stream.take())).toBe("current 6 six");
  });

  it("falls back when the current slot is taken away: the slot falls, the revision rises (W11)", async () => {
    const name = "watch/fall";
    await wire.put(name, 0n, "zero");
    const five = await wire.put(name, 5n, "five");
    const stream = watch(name);
    await stream.take();
    const { revision } = await wire.call(disableSlot, { name, slot: 5n });
    const fallen = await stream.take();
    expect([say(fallen), fallen.revision]).toEqual(["current 0 zero", revision]);
    expect(fallen.revision).toBeGreaterThan(five.revision);
    await wire.put(name, 3n, "three");
    expect(say(await stream.take())).toBe("current 3 three");
    await wire.call(enableSlot, { name, slot: 5n });
    expect(say(await stream.take())).toBe("current 5 five");
    await wire.call(destroySlot, { name, slot: 5n });
    expect(say(await stream.take())).toBe("current 3 three");
  });

  it("says absent when nothing is left, and when the secret is deleted; a reborn one is told after its end", async () => {
    const name = "watch/gone";
    await wire.put(name, 0n, "old");
    const stream = watch(name);
    await stream.take();
    await wire.call(disableSlot, { name, slot: 0n });
    expect(say(await stream.take())).toBe("absent NO_ENABLED_SLOT");
    await wire.call(enableSlot, { name, slot: 0n });
    expect(say(await stream.take())).toBe("current 0 old");
    const { revision } = await wire.call(deleteSecret, { name });
    const gone = await stream.take();
    expect([say(gone), gone.revision]).toEqual(["absent NOT_EXISTING", revision]);
    const token = gone.resumeToken;
    await wire.put(name, 0n, "new");
    expect(say(await stream.take())).toBe("current 0 new");
    expect(say(await watch(name, { resumeToken: token }).take())).toBe("current 0 new");
  });

  it("tells one that comes back to a reborn secret of the end first", async () => {
    const name = "watch/reborn";
    await wire.put(name, 9n, "old");
    const { resumeToken } = await watch(name).take();
    await wire.call(deleteSecret, { name });
    await wire.put(name, 1n, "new");
    const stream = watch(name, { resumeToken });
    const end = await stream.take();
    expect(say(end)).toBe("absent NOT_EXISTING");
    const born = await stream.take();
    expect(say(born)).toBe("current 1 new");
    expect(born.revision).toBeGreaterThan(end.revision);
  });

  it("ends with NOT_FOUND when there is nothing to show, or says absent with allow_missing", async () => {
    expect((await failure(watch("watch/never").take())).reason).toBe("SECRET_NOT_FOUND");
    const stream = watch("watch/never", { allowMissing: true });
    const first = await stream.take();
    expect([say(first), first.revision]).toEqual(["absent NOT_EXISTING", 0n]);
    await wire.put("watch/never", 0n, "now");
    expect(say(await stream.take())).toBe("current 0 now");
    await wire.put("watch/off", 0n, "x");
    await wire.call(disableSlot, { name: "watch/off", slot: 0n });
    expect((await failure(watch("watch/off").take())).reason).toBe("NO_EFFECTIVE_SLOT");
  });

  it("resumes: progress when nothing changed, one event when something did (W8)", async () => {
    const name = "watch/resume";
    await wire.put(name, 0n, "0");
    const { resumeToken } = await watch(name).take();
    const quiet = await watch(name, { resumeToken }).take();
    expect(say(quiet)).toBe("progress");
    for (let slot = 1n; slot <= 100n; slot++) await wire.put(name, slot, String(slot));
    for (const token of [resumeToken, quiet.resumeToken]) {
      const stream = watch(name, { resumeToken: token });
      expect(say(await stream.take())).toBe("current 100 100");
      await wire.put("watch/other", BigInt(Date.now()), "x");
      await expect(stream.take(300)).rejects.toThrow("no message");
    }
  });

  it("resets a token of another epoch, and refuses another name's, another RPC's and a damaged one", async () => {
    const name = "watch/tokens";
    await wire.put(name, 0n, "v");
    await wire.put(`${name}2`, 0n, "v");
    const { resumeToken } = await watch(name).take();
    const elsewhere = await ServerProcess.start({ args: ["--engine", engine] });
    const other = new Wire(elsewhere.address, elsewhere.adminToken);
    await other.put(name, 0n, "w");
    const stream = other.watch(name, { resumeToken });
    expect(say(await stream.take())).toBe("historyReset");
    expect(say(await stream.take())).toBe("current 0 w");
    stream.cancel();
    other.close();
    await elsewhere.dispose();

    const slotsToken = await firstSlotsToken(wire, name);
    const damaged = `${resumeToken.slice(0, 20)}${resumeToken[20] === "A" ? "B" : "A"}${resumeToken.slice(21)}`;
    for (const [token, watched] of [
      [resumeToken, `${name}2`],
      [slotsToken, name],
      [damaged, name],
      [resumeToken.slice(0, -4), name],
    ] as const) {
      const error = await failure(watch(watched, { resumeToken: token }).take());
      expect([error.code, error.reason]).toEqual(["INVALID_ARGUMENT", "BAD_RESUME_TOKEN"]);
    }
  });

  it("sends progress on an idle stream within 10 s, and nothing older after it (W7)", async () => {
    const name = "watch/idle";
    await wire.put(name, 0n, "v");
    const stream = watch(name);
    const first = await stream.take();
    const progress = await stream.take(15_000);
    expect(say(progress)).toBe("progress");
    expect(progress.revision).toBeGreaterThanOrEqual(first.revision);
    await wire.put(name, 1n, "w");
    expect((await stream.take()).revision).toBeGreaterThan(progress.revision);
  });

  it("ends in the last of many values (W5, W6)", async () => {
    const name = "watch/many";
    await wire.put(name, 0n, "0");
    const stream = watch(name);
    let last = await stream.take();
    await Promise.all(
      Array.from({ length: 500 }, (_, index) => wire.put(name, BigInt(index + 1), String(index + 1))),
    );
    let messages = 0;
    while (say(last) !== "current 500 500") {
      const next = await stream.take();
      expect(next.revision).toBeGreaterThan(last.revision);
      last = next;
      messages += 1;
    }
    expect(messages).toBeLessThanOrEqual(500);
  });
});

async function firstSlotsToken(wire: Wire, name: string): Promise<string> {
  const stream = wire.watchSlots([name]);
  for (;;) {
    const message = await stream.take();
    if (message.resumeToken !== "") {
      stream.cancel();
      return message.resumeToken;
    }
  }
}
