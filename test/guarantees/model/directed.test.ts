import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { open } from "../../../clients/typescript/src/index.ts";
import { AutoSlot, SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { waitFor } from "../../support/wait-for.ts";
import { text, WireError } from "../../support/wire.ts";
import { perform } from "./calls.ts";
import { check } from "./check.ts";
import { Recorder } from "./history.ts";
import { tookTooLong } from "./lateness.ts";
import { machineMs } from "./machine/heartbeat.ts";
import type { Op } from "./model.ts";
import { FollowingClient } from "./run/following-client.ts";
import { clientBehind } from "./validators/caught-up.ts";
import { World } from "./world.ts";

/** What random programs would come to too seldom, or would have to wait for too long. */

const LARGE = (n: number) => `v${n}`.padEnd(60_000, ".");

describe("one server", () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({ servers: [[]] });
  });
  afterAll(() => world.close());

  test("an idle stream has a progress at least every 10 s, whatever becomes of the clock (W7)", async () => {
    const wire = world.wire(1, 0);
    await world.wire(0, 0).put("idle", 0n, "v");
    const streams = [wire.watch("idle"), wire.watchSlots(["idle"])];
    const began = machineMs();
    const silences: { from: number; to: number }[] = [];
    await Promise.all(
      streams.map(async (stream) => {
        let from = machineMs();
        for (let progresses = 0; progresses < 3; ) {
          const { event } = await stream.take(60_000);
          if (event.case === "progress") progresses++;
          silences.push({ from, to: machineMs() });
          from = machineMs();
          // Between two of them it is set back an hour, and then on an hour.
          if (progresses > 0) world.machine.setClock(progresses === 1 ? -3_600_000 : 3_600_000);
        }
        stream.cancel();
      }),
    );
    world.machine.setClock(0);
    const late = (await world.machine.late(began)).map((each) => ({ type: "late" as const, ...each }));
    expect(silences.filter((each) => tookTooLong(late, { ...each, promisedMs: 10_000 }))).toEqual([]);
  });

  test("the same request twice at once is answered alike", async () => {
    for (let n = 0; n < 40; n++) {
      const put = () => world.wire(0, 0).put(`twice/${n}`, 0n, "v", { requestId: `twice-${n}` });
      const [one, other] = await Promise.all([put(), put()]);
      expect(other).toEqual(one);
      expect(one.created).toBe(true);
    }
  });

  test("the same request twice at once is answered alike, though one stands in the other's way", async () => {
    for (let n = 0; n < 20; n++) {
      const put = () =>
        world.wire(0, 0).call(SecretService.method.putSlot, {
          ...{ name: `beside/${n}`, value: Buffer.from("v"), expectedRevision: 0n, requestId: `beside-${n}` },
          autoSlot: AutoSlot.NEXT_INDEX,
        });
      const [one, other] = await Promise.all([put(), put()]);
      expect(other).toEqual(one);
      expect(one.created).toBe(true);
    }
  });

  test("a server can be stopped in order as soon as it says that it is ready", async () => {
    // `stop` fails unless the process ends with 0.
    for (let n = 0; n < 3; n++) await world.stop(0);
  });

  test("a client keeps its promises through kills, cuts and a new epoch (W14)", async () => {
    const recorder = new Recorder();
    await change({ op: "put", slot: 0n, value: "v0", overwrite: false, disabled: false, id: "w14-0" });
    const client = new FollowingClient({ world, recorder }, open, () => {}, {
      ...{ handle: 1, names: ["w14"], view: "all", server: 0 },
    });

    /** A change until it is answered. */
    async function change(op: Op): Promise<void> {
      const start = recorder.tick();
      const { answer, epoch } = await world.admin(0, (wire) => perform(wire, "w14", op));
      recorder.add({
        type: "call",
        start,
        end: recorder.tick(),
        name: "w14",
        client: 0,
        token: 0,
        op,
        answer,
        epoch,
      });
    }
    const faults = [() => world.cut(0, 20), () => world.kill(0), () => world.stop(0), () => world.newEpoch()];
    for (let n = 1; n <= 40; n++) {
      const slot = BigInt(n % 5);
      const op: Op = { op: "put", slot, value: `v${n}`, overwrite: true, disabled: false, id: `w14-${n}` };
      const fault = faults[n / 8 - 1];
      const broken = fault?.();
      await client.look();
      await Promise.all([change(op), broken]);
      await client.look();
      if (n % 7 === 0) await change({ op: "disable", slot: 4n, id: `w14-disable-${n}` });
    }
    // Nothing may be missing at the end: the client has what the server has.
    await waitFor("the client has the last state", () => {
      return clientBehind(recorder.entries.slice(), client.following) === undefined;
    });
    await client.close();
    expect(check(recorder.entries)).toEqual([]);
    expect(recorder.entries.filter(({ type }) => type === "applied").length).toBeGreaterThan(5);
  });
});

test("a stalled watcher delays nobody, is let go, and its resume works (W13)", async () => {
  // One watch for each identity: a second one is let in only once the server has ended the first.
  const world = await World.start({
    servers: [[]],
    args: ["--slow-consumer-seconds", "3", "--max-watches-per-identity", "1"],
  });
  try {
    const [writer, slow, quick] = [world.wire(0, 0), world.wire(1, 0), world.wire(2, 0)];
    await writer.put("w13", 0n, "first");
    const stalled = slow.watch("w13");
    const { resumeToken } = await stalled.take();
    const reading = quick.watch("w13");
    const reader = (async () => {
      for (;;) {
        const { event } = await reading.take();
        if (event.case === "current" && text(event.value.value) === LARGE(40)) return;
      }
    })();
    for (let n = 1; n <= 40; n++) await writer.put("w13", 0n, LARGE(n), { overwrite: true });
    await reader;
    const resumed = await waitFor("the stalled watch is ended, and another one let in", async () => {
      const stream = slow.watch("w13", { resumeToken });
      try {
        return await stream.take();
      } catch (error) {
        if (error instanceof WireError && error.reason === "TOO_MANY_WATCHES") return undefined;
        throw error;
      }
    });
    expect(resumed.event.case === "current" && text(resumed.event.value.value) === LARGE(40)).toBe(true);

    let waiting = 0;
    const end = await (async () => {
      for (;;) {
        await stalled.take();
        waiting++;
      }
    })().catch((error: unknown) => error);
    expect(end).toMatchObject({ code: "UNAVAILABLE", reason: "SLOW_CONSUMER" });
    // grpc-js reads 16 messages ahead and HTTP/2 holds 64 KiB; of 40 that were written, the others never waited (W5).
    expect(waiting).toBeLessThanOrEqual(20);
  } finally {
    await world.close();
  }
});
