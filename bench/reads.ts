import { create, toBinary } from "@bufbuild/protobuf";
import {
  GetEffectiveAtRequestSchema,
  GetSecretRequestSchema,
  GetSecretResponseSchema,
} from "../gen/ts/secretslots/v1/secret_service_pb.ts";
import { Wire } from "../test/support/wire.ts";
import { hasH2load, load } from "./h2load.ts";
import { startNode } from "./process.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { endServer, startServer } from "./server.ts";
import { ratio, spread } from "./statistics.ts";

/** GetSecret and GetEffectiveAt, with identity, policy, audit and metrics on, beside handlers that do nothing. */
export const reads: Scenario = {
  name: "reads",
  run: async (plan: Plan): Promise<readonly Figure[]> => {
    if (!hasH2load()) {
      console.log("!!!!!! reads are not measured: h2load is missing (Debian: nghttp2-client)");
      return [];
    }
    const server = await startServer(plan);
    const wire = new Wire(server.address, server.adminToken);
    const name = "bench/read";
    await wire.put(name, 0n, Buffer.alloc(100, "v"));
    await wire.put(name, 1_741_790_697n, Buffer.alloc(100, "w"));
    const answer = toBinary(GetSecretResponseSchema, await wire.get(name));
    const payload = Buffer.from(answer).toString("base64");
    const empty = await startNode("bench/empty-server.ts", payload);
    const raw = await startNode("bench/empty-http2.ts", payload);
    const shape = { connections: 8, streams: 16, seconds: plan.seconds };
    const token = server.adminToken;
    const get = {
      ...shape,
      address: server.address,
      token,
      path: "/secretslots.v1.SecretService/GetSecret",
      message: toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { name })),
    };
    const at = {
      ...get,
      path: "/secretslots.v1.SecretService/GetEffectiveAt",
      message: toBinary(
        GetEffectiveAtRequestSchema,
        create(GetEffectiveAtRequestSchema, { name, at: 1_800_000_000n }),
      ),
    };
    // The same request bytes, token included, so that all that differs is what is done with them.
    const nothing = { ...get, address: empty.address, path: "/bench.Empty/Get" };
    const transport = { ...nothing, address: raw.address };
    const rates = { get: [] as number[], at: [] as number[], empty: [] as number[], raw: [] as number[] };
    for (let round = 0; round < plan.rounds; round++) {
      rates.empty.push(await load(nothing));
      // A profile is of GetEffectiveAt alone, which does all that GetSecret does and more.
      if (plan.profile === undefined) rates.get.push(await load(get));
      rates.at.push(await load(at));
      rates.raw.push(await load(transport));
    }
    wire.close();
    await Promise.all([empty.stop(), raw.stop(), endServer(plan, server)]);
    return [
      { name: "GetSecret", unit: "calls/s", value: spread(rates.get) },
      { name: "GetEffectiveAt", unit: "calls/s", value: spread(rates.at) },
      { name: "grpc-js handler that does nothing", unit: "calls/s", value: spread(rates.empty) },
      { name: "node:http2 alone", unit: "calls/s", value: spread(rates.raw) },
      {
        name: "GetSecret : handler that does nothing",
        unit: "",
        value: ratio(rates.get, rates.empty),
        must: ">= 0.75",
        aim: ">= 0.9",
      },
      {
        name: "GetEffectiveAt : handler that does nothing",
        unit: "",
        value: ratio(rates.at, rates.empty),
        must: ">= 0.70",
        aim: ">= 0.85",
      },
    ];
  },
};
