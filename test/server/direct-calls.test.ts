import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  DescribeSecretRequestSchema,
  GetEffectiveAtRequestSchema,
  GetSecretRequestSchema,
  PutSlotRequestSchema,
  SecretService,
  WatchSecretRequestSchema,
} from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";

let server: ServerProcess;
let wire: Wire;
let session: ClientHttp2Session;

beforeAll(async () => {
  server = await ServerProcess.start({
    args: ["--max-message-bytes", "2000000", "--max-value-bytes", "500000"],
  });
  wire = new Wire(server.address, server.adminToken);
  await wire.put("a/b", 5n, Buffer.from("five"));
  await wire.put("a/large", 1n, Buffer.alloc(300_000, "x"));
  session = connect(`http://${server.address}`);
});

afterAll(async () => {
  session.destroy();
  wire.close();
  await server.dispose();
});

/** grpc-js is left every call whose content type is not one that gRPC libraries send. */
const THROUGH = { direct: "application/grpc", "grpc-js": "application/grpc;odd" } as const;

interface Answer {
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: string;
}

function call(
  path: string,
  chunks: readonly Uint8Array[],
  headers: Record<string, string> = {},
  begun: (stream: ClientHttp2Stream) => void = () => {},
) {
  return new Promise<Answer>((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${SecretService.typeName}/${path}`,
      te: "trailers",
      authorization: `Bearer ${server.adminToken}`,
      ...headers,
    });
    const answer = { headers: {}, trailers: {}, body: [] as Buffer[] };
    const plain = (all: IncomingHttpHeaders) =>
      Object.fromEntries(
        Object.entries(all).filter(([name]) =>
          /^(:status|content-type|grpc-(status|message|status-details-bin))$/.test(name),
        ),
      );
    stream.on("response", (all) => Object.assign(answer.headers, plain(all)));
    stream.on("trailers", (all) => Object.assign(answer.trailers, plain(all)));
    stream.on("data", (chunk: Buffer) => answer.body.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => resolve({ ...answer, body: Buffer.concat(answer.body).toString("base64") }));
    begun(stream);
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
  });
}

function framed(message: Uint8Array, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

const get = (name: string) =>
  framed(toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { name })));
const at = (name: string, slot?: bigint) =>
  framed(
    toBinary(
      GetEffectiveAtRequestSchema,
      create(GetEffectiveAtRequestSchema, { name, ...(slot === undefined ? {} : { at: slot }) }),
    ),
  );
const put = (name: string, slot: bigint, value: string) =>
  framed(
    toBinary(
      PutSlotRequestSchema,
      create(PutSlotRequestSchema, {
        name,
        slot,
        value: Buffer.from(value) as Uint8Array as Uint8Array<ArrayBuffer>,
      }),
    ),
  );
const describing = (name: string) =>
  framed(toBinary(DescribeSecretRequestSchema, create(DescribeSecretRequestSchema, { name })));
const bytes = (request: Buffer) => [...request].map((byte) => Buffer.of(byte));

describe("a call answered on its stream and one that went through grpc-js", () => {
  it.each<[string, string, readonly Uint8Array[], Record<string, string>?]>([
    ["a value", "GetSecret", [get("a/b")]],
    ["a value past the flow-control window", "GetSecret", [get("a/large")]],
    ["a value effective at a time", "GetEffectiveAt", [at("a/b", 7n)]],
    ["nothing effective", "GetEffectiveAt", [at("a/b", 1n)]],
    ["a name that does not exist", "GetSecret", [get("a/none")]],
    ["a name that is none", "GetSecret", [get("/")]],
    ["a number that is none", "GetEffectiveAt", [at("a/b", 2n ** 64n - 1n)]],
    ["no message of the RPC", "GetSecret", [framed(Buffer.from([0xff, 0xff]))]],
    ["an empty message", "GetSecret", [framed(Buffer.alloc(0))]],
    ["a request in pieces", "GetSecret", bytes(get("a/b"))],
    ["a request with a deadline", "GetSecret", [get("a/b")], { "grpc-timeout": "20S" }],
    ["an odd deadline", "GetSecret", [get("a/b")], { "grpc-timeout": "soon" }],
    ["no token", "GetSecret", [get("a/b")], { authorization: "" }],
    ["a wrong token", "GetSecret", [get("a/b")], { authorization: `Bearer sst_${"0".repeat(49)}` }],
    ["two tokens", "GetSecret", [get("a/b")], { authorization: "Bearer a, Bearer b" }],
    ["a put of what is there", "PutSlot", [put("a/b", 5n, "five")]],
    ["a put of another value", "PutSlot", [put("a/b", 5n, "six")]],
    ["a put in pieces", "PutSlot", bytes(put("a/b", 5n, "five"))],
    ["a put without a token", "PutSlot", [put("a/b", 5n, "five")], { authorization: "" }],
    ["a description", "DescribeSecret", [describing("a/b")]],
    ["a description of nothing", "DescribeSecret", [describing("a/none")]],
    ["a message longer than the limit", "GetSecret", [framed(Buffer.alloc(2_000_001))]],
    ["a length over the limit", "GetSecret", [framed(Buffer.alloc(3), 2_000_001)]],
  ])("answer %s alike", async (_, path, chunks, headers) => {
    const direct = await call(path, chunks, { "content-type": THROUGH.direct, ...headers });
    const plain = await call(path, chunks, { "content-type": THROUGH["grpc-js"], ...headers });
    expect(same(direct)).toEqual(same(plain));
  });

  it("ends at a deadline that is over, with nothing disclosed", async () => {
    const headers = { "content-type": THROUGH.direct, "grpc-timeout": "0n" };
    const answer = await call("GetSecret", [get("a/b")], headers);
    expect([answer.headers["grpc-status"], answer.body]).toEqual(["4", ""]);
  });

  it.each<[string, readonly Uint8Array[]]>([
    ["nothing", []],
    ["half a prefix", [Buffer.alloc(3)]],
    ["half a message", [get("a/b").subarray(0, 8)]],
    ["two messages", [get("a/b"), get("a/b")]],
  ])("end %s with UNIMPLEMENTED", async (_, chunks) => {
    for (const type of Object.values(THROUGH)) {
      expect((await call("GetSecret", chunks, { "content-type": type })).headers["grpc-status"]).toBe("12");
    }
  });
});

describe("a watch on its stream and one through grpc-js", () => {
  it.each([
    ["a value", "WatchSecret", "a/b"],
    ["a secret that does not exist", "WatchSecret", "a/none"],
    ["a name that is none", "WatchSecret", "/"],
  ])("are told %s alike", async (_, path, name) => {
    const message = framed(toBinary(WatchSecretRequestSchema, create(WatchSecretRequestSchema, { name })));
    const first = (type: string) =>
      call(path, [message], { "content-type": type }, (stream) => stream.once("data", () => stream.close(8)));
    const [direct, plain] = [await first(THROUGH.direct), await first(THROUGH["grpc-js"])];
    expect(direct.body.length > 0 || direct.headers["grpc-status"] !== undefined).toBe(true);
    expect(same(direct)).toEqual(same(plain));
  });
});

/** Without what may differ: an empty message beside OK, the words for a deadline, and for what is too large. */
function same({ headers, trailers, body }: Answer) {
  const status = { ...headers, ...trailers } as Record<string, unknown>;
  if (["0", "4", "8"].includes(String(status["grpc-status"]))) {
    delete status["grpc-message"];
    delete status["grpc-status-details-bin"];
  }
  return { status, body };
}

it("ends a watch at its deadline", async () => {
  const message = framed(
    toBinary(WatchSecretRequestSchema, create(WatchSecretRequestSchema, { name: "a/b" })),
  );
  for (const type of Object.values(THROUGH)) {
    const { trailers, body } = await call("WatchSecret", [message], {
      "content-type": type,
      "grpc-timeout": "300m",
    });
    expect(body).not.toBe("");
    expect(trailers["grpc-status"]).toBe("4");
  }
});

it("gives a call up at its deadline while its request does not come, and goes on when the caller goes away", async () => {
  const begin = (headers: Record<string, string>) =>
    session.request({
      ":method": "POST",
      ":path": `/${SecretService.typeName}/GetSecret`,
      "content-type": "application/grpc",
      authorization: `Bearer ${server.adminToken}`,
      ...headers,
    });
  const slow = begin({ "grpc-timeout": "100m" });
  let status: unknown;
  slow.on("response", (headers) => {
    status = headers["grpc-status"];
  });
  slow.write(get("a/b").subarray(0, 3));
  await waitFor("DEADLINE_EXCEEDED", () => status === "4");
  slow.on("error", () => {});
  slow.destroy();

  for (let count = 0; count < 200; count++) {
    const gone = begin({});
    gone.on("error", () => {});
    gone.write(get("a/large"));
    gone.close(8);
  }
  expect(Buffer.from((await wire.get("a/b")).value).toString()).toBe("five");
});
