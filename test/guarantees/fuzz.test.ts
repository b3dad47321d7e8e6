import { create, type DescField, type DescMessage, type DescMethod, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { BAD_PEERS } from "./support/bad-peers.ts";
import { failWith } from "./support/failures.ts";
import { GoodClient, memoryOf } from "./support/good-client.ts";
import { countOf, Random, seedOf } from "./support/random.ts";

const INPUTS = countOf("SLOTS_TEST_FUZZ", 600);
const AT_ONCE = 24;
const LIMIT_MS = Math.max(900_000, INPUTS * 50);
const ATTACK_MS = 3_000;
/** What a server may grow by under all of it. Twice what Node's heap takes before it cares to collect. */
const MEMORY_BYTES = 768 << 20;
/** A copy of the store for each call: what is to be learnt of its empty request is learnt from a few. */
const FEW: Readonly<Record<string, number>> = { CreateBackup: 20 };

let server: ServerProcess;
let good: GoodClient;
let memory = 0;
const seed = seedOf("fuzz");

beforeAll(async () => {
  server = await ServerProcess.start({ args: ["--log-level", "error", "--failed-logins-burst", "1000000"] });
  good = new GoodClient(server);
  await good.next();
  memory = memoryOf(server);
});

afterAll(async () => {
  console.log(`${good.calls} calls of the good client, the slowest pair ${Math.round(good.slowestMs)} ms`);
  await good.close();
  await server.dispose();
});

async function mustBeWell(): Promise<void> {
  await good.next();
  expect(server.child.exitCode).toBeNull();
  expect(memoryOf(server) - memory).toBeLessThan(MEMORY_BYTES);
}

/** Values that tend to be handled wrongly. */
const TEXTS = ["", "a", "a/b", "a//b", "../a", "a".repeat(256), "\u0000", "ä", "*", "**", "a".repeat(20_000)];
const INTEGERS = [0n, 1n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];

/** A message that decodes, with anything in its fields. */
function anyMessage(schema: DescMessage, random: Random, depth = 0): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const field of schema.fields) {
    if (random.chance(0.35)) continue;
    const value = anyField(field, random, depth);
    if (value !== undefined && field.oneof === undefined) message[field.localName] = value;
  }
  return message;
}

function anyField(field: DescField, random: Random, depth: number): unknown {
  if (field.fieldKind === "map") return { [random.pick(TEXTS)]: random.pick(TEXTS) };
  const one = () => {
    if (field.message !== undefined) {
      return depth > 3 ? undefined : create(field.message, anyMessage(field.message, random, depth + 1));
    }
    if (field.enum !== undefined) return random.below(9) - 1;
    return anyScalar(field.scalar as number, random);
  };
  if (field.fieldKind !== "list") return one();
  return Array.from({ length: random.below(random.chance(0.05) ? 500 : 4) }, one).filter(
    (each) => each !== undefined,
  );
}

/** By the number that protobuf gives each type of a field. */
function anyScalar(type: number, random: Random): unknown {
  switch (type) {
    case 8:
      return random.chance(0.5);
    case 9:
      return random.chance(0.5) ? `fuzz/${random.below(5)}` : random.pick(TEXTS);
    case 12:
      return random.bytes(random.below(random.chance(0.05) ? 70_000 : 40));
    case 3:
    case 16:
    case 18:
      return BigInt.asIntN(64, random.pick(INTEGERS));
    case 4:
    case 6:
      return random.chance(0.5) ? BigInt(random.below(10)) : random.pick(INTEGERS);
    case 5:
    case 15:
    case 17:
      return random.below(2 ** 32) | 0;
    default:
      return random.below(2 ** 32);
  }
}

/** Bytes as they were, damaged, or at random. */
function anyBytes(schema: DescMessage, random: Random): Buffer {
  if (random.chance(0.15)) return random.bytes(random.below(200));
  let bytes: Buffer = Buffer.from(toBinary(schema, create(schema, anyMessage(schema, random))));
  for (let damage = random.below(4); damage > 0; damage -= 1) {
    const at = random.below(bytes.length + 1);
    const rest = bytes.subarray(at);
    const start = bytes.subarray(0, at);
    switch (random.below(4)) {
      case 0:
        bytes = start;
        break;
      case 1:
        bytes = Buffer.concat([start, random.bytes(1 + random.below(8)), rest]);
        break;
      case 2:
        bytes = Buffer.concat([start, rest.subarray(1)]);
        break;
      default:
        bytes = Buffer.concat([
          start,
          rest.map((byte, index) => (index === 0 ? byte ^ (1 << random.below(8)) : byte)),
        ]);
    }
  }
  return bytes;
}

/** The code that a call of any kind ends with; a stream is let go at its first message. */
function call(client: Client, method: DescMethod, bytes: Buffer, metadata: Metadata): Promise<number> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const same = (each: Buffer) => each;
  const options = { deadline: Date.now() + 20_000 };
  return new Promise((resolve) => {
    if (method.methodKind === "unary") {
      client.makeUnaryRequest(path, same, same, bytes, metadata, options, (error) =>
        resolve(error?.code ?? 0),
      );
      return;
    }
    const stream = client.makeServerStreamRequest(path, same, same, bytes, metadata, options);
    // A log that is followed may have nothing to tell for as long as it is left.
    const timer = setTimeout(() => stream.cancel(), 50);
    stream.on("data", () => stream.cancel());
    stream.on("error", () => {});
    stream.on("status", ({ code }) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
}

const METHODS: readonly DescMethod[] = [...SecretService.methods, ...AdminService.methods];
const NEVER = new Set([status.INTERNAL, status.UNKNOWN, status.UNIMPLEMENTED, status.DEADLINE_EXCEEDED]);

for (const method of METHODS) {
  const inputs = Math.min(INPUTS, FEW[method.name] ?? INPUTS);
  test(
    `S6: ${inputs} inputs of any form to ${method.name}`,
    async () => {
      const random = new Random(seed ^ METHODS.indexOf(method));
      const client = new Client(server.address, credentials.createInsecure(), {
        "grpc.use_local_subchannel_pool": 1,
      });
      const codes = new Map<number, number>();
      let left = inputs;
      const work = async () => {
        for (; left > 0; ) {
          left -= 1;
          const bytes = anyBytes(method.input, random);
          const metadata = new Metadata();
          if (!random.chance(0.02)) metadata.set("authorization", `Bearer ${server.adminToken}`);
          const code = await call(client, method, bytes, metadata);
          codes.set(code, (codes.get(code) ?? 0) + 1);
          if (!NEVER.has(code)) continue;
          const replay = `SLOTS_TEST_SEED=${seed} SLOTS_TEST_FUZZ=${INPUTS} npm run guarantees -- fuzz`;
          failWith("fuzz", replay, `${method.name} answers ${status[code]} to ${bytes.toString("hex")}`);
        }
      };
      try {
        await Promise.all(Array.from({ length: AT_ONCE }, work));
      } finally {
        client.close();
      }
      await mustBeWell();
    },
    LIMIT_MS,
  );
}

for (const [name, attack] of Object.entries(BAD_PEERS)) {
  test(`S6: ${name}`, async () => {
    const { address, adminToken: token } = server;
    const peers = await attack({ address, token, random: new Random(seed), until: Date.now() + ATTACK_MS });
    await mustBeWell();
    for (const peer of peers) peer.close();
    await mustBeWell();
  });
}
