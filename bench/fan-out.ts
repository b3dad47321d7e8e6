import { create, toBinary } from "@bufbuild/protobuf";
import {
  GetSecretRequestSchema,
  WatchSecretRequestSchema,
  WatchSecretResponseSchema,
} from "../gen/ts/secretslots/v1/secret_service_pb.ts";
import { memoryOf } from "../test/support/processes.ts";
import { Wire } from "../test/support/wire.ts";
import { callsAtFixedTimes, p99 } from "./callers.ts";
import { now } from "./clock.ts";
import { cpuOf, startNode } from "./process.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { endServer, startServer } from "./server.ts";
import { ratio, spread } from "./statistics.ts";
import { Watchers } from "./watchers.ts";

const NAME = "bench/fan-out";
const STREAMS_A_CONNECTION = 100;
const VALUE = Buffer.alloc(200, "v");
const UNARY_EVERY_MS = 2;

/** A rotation that thousands of watchers wait for, beside a bare broadcast of the same bytes; and who calls meanwhile. */
export const fanOut: Scenario = {
  name: "fan-out",
  run: async (plan: Plan): Promise<readonly Figure[]> => {
    const connections = plan.short ? 20 : 100;
    const watchers = connections * STREAMS_A_CONNECTION;
    const server = await startServer(plan);
    const wire = new Wire(server.address, server.adminToken);
    const caller = new Wire(server.address, server.adminToken);
    await wire.put("bench/other", 0n, VALUE);
    await wire.put(NAME, 0n, VALUE);
    const sample = wire.watch(NAME);
    const event = toBinary(WatchSecretResponseSchema, await sample.take());
    sample.cancel();
    const bare = await startNode("bench/broadcast-server.ts", Buffer.from(event).toString("base64"));
    const bareWire = new Wire(bare.address, undefined);

    const shape = { connections, streams: STREAMS_A_CONNECTION, least: VALUE.length };
    const request = toBinary(WatchSecretRequestSchema, create(WatchSecretRequestSchema, { name: NAME }));
    const empty = memoryOf(server.pid);
    const ours = await Watchers.open({
      ...shape,
      address: server.address,
      path: "/secretslots.v1.SecretService/WatchSecret",
      message: Buffer.from(request).toString("base64"),
      token: server.adminToken,
    });
    const perWatch = (memoryOf(server.pid) - empty) / watchers / 1024;
    const theirs = await Watchers.open({
      ...shape,
      address: bare.address,
      path: "/bench.Broadcast/Watch",
      message: "",
    });

    let slot = 1n;
    const rotate = async (): Promise<number> => {
      const began = now();
      const told = ours.told();
      await wire.put(NAME, slot++, VALUE);
      return (await told) - began;
    };
    const broadcast = async (): Promise<number> => {
      const began = now();
      const told = theirs.told();
      await bareWire.raw("bench.Broadcast", "Broadcast", Buffer.alloc(0));
      return (await told) - began;
    };
    const get = toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { name: "bench/other" }));
    const unary = () => caller.raw("secretslots.v1.SecretService", "GetSecret", get);

    await rotate();
    await broadcast();
    const times = { ours: [] as number[], bare: [] as number[], idle: [] as number[], busy: [] as number[] };
    /** Processor time of the servers for each message, microseconds. */
    const cpu = { ours: [] as number[], bare: [] as number[] };
    for (let round = 0; round < plan.rounds; round++) {
      const [one, other]: [number[], number[]] = [[], []];
      const used = { ours: cpuOf(server.child.pid), bare: bare.cpu() };
      const until = now() + plan.seconds * 500;
      while (one.length < 3 || now() < until) {
        one.push(await rotate());
        other.push(await broadcast());
      }
      const messages = one.length * watchers;
      cpu.ours.push(((cpuOf(server.child.pid) - used.ours) / messages) * 1000);
      cpu.bare.push(((bare.cpu() - used.bare) / messages) * 1000);
      times.ours.push(spread(one).median);
      times.bare.push(spread(other).median);
      times.idle.push(p99(await callsAtFixedTimes(UNARY_EVERY_MS, unary, () => pause(plan.seconds * 500))));
      times.busy.push(
        p99(
          await callsAtFixedTimes(UNARY_EVERY_MS, unary, async () => {
            for (const end = now() + plan.seconds * 500; now() < end; ) await rotate();
          }),
        ),
      );
    }
    ours.close();
    theirs.close();
    for (const each of [wire, caller, bareWire]) each.close();
    await Promise.all([bare.stop(), endServer(plan, server)]);

    const all = watchers.toLocaleString("en");
    return [
      { name: `put sent -> ${all} watchers have it`, unit: "ms", value: spread(times.ours) },
      { name: `bare broadcast to ${all}`, unit: "ms", value: spread(times.bare) },
      {
        name: "watchers have it : bare broadcast",
        unit: "",
        value: ratio(times.ours, times.bare),
        must: "<= 2",
        aim: "<= 1.3",
      },
      { name: "server's processor time for each watcher", unit: "µs", value: spread(cpu.ours) },
      { name: "the same of the bare broadcast", unit: "µs", value: spread(cpu.bare) },
      { name: "GetSecret p99, nothing else going on", unit: "ms", value: spread(times.idle) },
      { name: "GetSecret p99 during fan-outs", unit: "ms", value: spread(times.busy) },
      {
        name: "GetSecret p99, during : idle",
        unit: "",
        value: ratio(times.busy, times.idle),
        must: "<= 4",
        aim: "<= 2",
      },
      {
        name: "server memory for each idle watch",
        unit: "KB",
        value: spread([perWatch]),
        must: "<= 25",
        aim: "<= 15",
      },
    ];
  },
};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
