import { create, toBinary } from "@bufbuild/protobuf";
import {
  GetSecretRequestSchema,
  WatchSecretRequestSchema,
} from "../gen/ts/secretslots/v1/secret_service_pb.ts";
import { Wire } from "../test/support/wire.ts";
import { now } from "./clock.ts";
import { hasEtcd, putRequest, rangeRequest, startEtcd, watchRequest } from "./etcd.ts";
import { hasH2load, load } from "./h2load.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { endServer, startServer } from "./server.ts";
import { ratio, spread } from "./statistics.ts";
import { Watchers } from "./watchers.ts";

const VALUE = Buffer.alloc(100, "v");
const CALLERS = 64;
const WATCHERS = { connections: 10, streams: 100 };

/** The same values in etcd, which neither seals, nor authorises, nor audits. Two workers, for etcd uses every core. */
export const peers: Scenario = {
  name: "peers",
  run: async (plan: Plan): Promise<readonly Figure[]> => {
    if (!hasH2load() || !hasEtcd()) {
      console.log(
        "!!!!!! peers are not measured: h2load or etcd is missing (Debian: nghttp2-client, etcd-server)",
      );
      return [];
    }
    const server = await startServer(plan, { args: ["--workers", "2"] });
    const etcd = await startEtcd();
    const ours = Array.from({ length: 4 }, () => new Wire(server.address, server.adminToken));
    const theirs = Array.from({ length: 4 }, () => new Wire(etcd.address, undefined));
    const name = "bench/peer";
    await ours[0]?.put(name, 0n, VALUE);
    await theirs[0]?.raw("etcdserverpb.KV", "Put", putRequest(name, VALUE));

    const shape = { connections: 8, streams: 16, seconds: plan.seconds };
    const get = {
      ...shape,
      address: server.address,
      token: server.adminToken,
      path: "/secretslots.v1.SecretService/GetSecret",
      message: toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { name })),
    };
    const range = (serializable: boolean) => ({
      ...shape,
      address: etcd.address,
      path: etcd.range,
      message: rangeRequest(name, serializable),
    });
    const rates = {
      get: [] as number[],
      serial: [] as number[],
      linear: [] as number[],
      put: [] as number[],
      etcdPut: [] as number[],
    };
    let next = 0;
    for (let round = 0; round < plan.rounds; round++) {
      rates.get.push(await load(get));
      rates.serial.push(await load(range(true)));
      rates.linear.push(await load(range(false)));
      rates.put.push(
        await puts(plan.seconds, ours, (wire) => {
          const number = next++;
          return wire.put(`bench/p/${number % 1000}`, BigInt(Math.floor(number / 1000)), VALUE);
        }),
      );
      rates.etcdPut.push(
        await puts(plan.seconds, theirs, (wire) =>
          wire.raw("etcdserverpb.KV", "Put", putRequest(`bench/p/${next++}`, VALUE)),
        ),
      );
    }
    const told = await fanOuts(plan, server, etcd.address, ours[0] as Wire, theirs[0] as Wire);
    for (const wire of [...ours, ...theirs]) wire.close();
    await Promise.all([endServer(plan, server), etcd.stop()]);
    return [
      { name: "GetSecret, 2 workers", unit: "calls/s", value: spread(rates.get) },
      { name: "etcd Range, serializable", unit: "calls/s", value: spread(rates.serial) },
      { name: "etcd Range, linearizable", unit: "calls/s", value: spread(rates.linear) },
      { name: "PutSlot, 2 workers, 64 callers", unit: "puts/s", value: spread(rates.put) },
      { name: "etcd Put, 64 callers", unit: "puts/s", value: spread(rates.etcdPut) },
      {
        name: "GetSecret, 2 workers : serializable Range",
        unit: "",
        value: ratio(rates.get, rates.serial),
        must: ">= 0.9",
        aim: ">= 1.3",
      },
      {
        name: "GetSecret, 2 workers : linearizable Range",
        unit: "",
        value: ratio(rates.get, rates.linear),
        must: ">= 1.1",
        aim: ">= 1.6",
      },
      {
        name: "PutSlot, 2 workers, 64 callers : etcd Put",
        unit: "",
        value: ratio(rates.put, rates.etcdPut),
        must: ">= 0.25",
        aim: ">= 0.5",
      },
      { name: "put sent -> 1,000 watchers have it", unit: "ms", value: spread(told.ours) },
      { name: "the same in etcd", unit: "ms", value: spread(told.theirs) },
      { name: "1,000 watchers have it : etcd's", unit: "", value: ratio(told.ours, told.theirs) },
    ];
  },
};

/** Puts a second of 64 callers who each wait for their answer before they put again. */
async function puts(
  seconds: number,
  wires: readonly Wire[],
  put: (wire: Wire) => Promise<unknown>,
): Promise<number> {
  const began = performance.now();
  const end = began + seconds * 1000;
  let done = 0;
  const caller = async (wire: Wire) => {
    for (; performance.now() < end; done++) await put(wire);
  };
  await Promise.all(
    Array.from({ length: CALLERS }, (_, index) => caller(wires[index % wires.length] as Wire)),
  );
  return done / ((performance.now() - began) / 1000);
}

/** How long a put takes to reach 1,000 watchers of its key, in turn here and there: medians of each round. */
async function fanOuts(
  plan: Plan,
  server: { readonly address: string; readonly adminToken: string },
  etcd: string,
  ours: Wire,
  theirs: Wire,
): Promise<{ readonly ours: number[]; readonly theirs: number[] }> {
  const name = "bench/watched";
  await ours.put(name, 0n, VALUE);
  const request = toBinary(WatchSecretRequestSchema, create(WatchSecretRequestSchema, { name }));
  const here = await Watchers.open({
    ...WATCHERS,
    address: server.address,
    path: "/secretslots.v1.SecretService/WatchSecret",
    message: Buffer.from(request).toString("base64"),
    token: server.adminToken,
    least: VALUE.length,
  });
  // Each begins with a message that says so, and has none but events after it.
  const there = await Watchers.open({
    ...WATCHERS,
    address: etcd,
    path: "/etcdserverpb.Watch/Watch",
    message: watchRequest(name).toString("base64"),
    least: 0,
    bothWays: true,
  });
  const timed = async (watchers: Watchers, put: () => Promise<unknown>) => {
    const began = now();
    const told = watchers.told();
    await put();
    return (await told) - began;
  };
  const rounds = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0, slot = 1n; round < plan.rounds; round++) {
    const [a, b]: [number[], number[]] = [[], []];
    for (const until = now() + plan.seconds * 1000; a.length < 3 || now() < until; slot++) {
      a.push(await timed(here, () => ours.put(name, slot, VALUE)));
      b.push(await timed(there, () => theirs.raw("etcdserverpb.KV", "Put", putRequest(name, VALUE))));
    }
    rounds.ours.push(spread(a).median);
    rounds.theirs.push(spread(b).median);
  }
  here.close();
  there.close();
  return rounds;
}
