import { create, toBinary } from "@bufbuild/protobuf";
import { GetSecretRequestSchema } from "../gen/ts/secretslots/v1/secret_service_pb.ts";
import { Wire } from "../test/support/wire.ts";
import { hasEtcd, putRequest, rangeRequest, startEtcd } from "./etcd.ts";
import { hasH2load, load } from "./h2load.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { endServer, startServer } from "./server.ts";
import { spread } from "./statistics.ts";

const VALUE = Buffer.alloc(100, "v");
const CALLERS = 64;

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
      rates.get.push(load(get));
      rates.serial.push(load(range(true)));
      rates.linear.push(load(range(false)));
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
    for (const wire of [...ours, ...theirs]) wire.close();
    await Promise.all([endServer(plan, server), etcd.stop()]);
    const ratio = (a: number[], b: number[]) => spread(a.map((rate, round) => rate / (b[round] ?? 1)));
    return [
      { name: "GetSecret, 2 workers", unit: "calls/s", value: spread(rates.get) },
      { name: "etcd Range, serializable", unit: "calls/s", value: spread(rates.serial) },
      { name: "etcd Range, linearizable", unit: "calls/s", value: spread(rates.linear) },
      { name: "PutSlot, 2 workers, 64 callers", unit: "puts/s", value: spread(rates.put) },
      { name: "etcd Put, 64 callers", unit: "puts/s", value: spread(rates.etcdPut) },
      {
        name: "GetSecret : serializable Range",
        unit: "",
        value: ratio(rates.get, rates.serial),
        must: ">= 0.9",
      },
      {
        name: "GetSecret : linearizable Range",
        unit: "",
        value: ratio(rates.get, rates.linear),
        must: ">= 1.1",
      },
      { name: "PutSlot : Put", unit: "", value: ratio(rates.put, rates.etcdPut), must: ">= 0.25" },
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
