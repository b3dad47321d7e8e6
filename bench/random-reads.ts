import { type ClientHttp2Session, connect } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { GetSecretRequestSchema } from "../gen/ts/secretslots/v1/secret_service_pb.ts";

const PATH = "/secretslots.v1.SecretService/GetSecret";

export interface Reading {
  readonly address: string;
  readonly token: string;
  /** What to ask for next. */
  readonly name: () => string;
  readonly connections: number;
  /** Calls under way on each. */
  readonly streams: number;
  /** Until when, by `performance.now()`; goes on until `stop` is called otherwise. */
  readonly until?: number;
}

export interface ReadingResult {
  /** Answers a second. */
  readonly rate: number;
  /** How long each answer took, milliseconds. */
  readonly took: readonly number[];
}

/** GetSecret of a name that changes with each call, which `h2load` can't; with no gRPC library in between. */
export async function readNames(reading: Reading, stop?: AbortSignal): Promise<ReadingResult> {
  const { address, connections, streams, until = Number.POSITIVE_INFINITY } = reading;
  const sessions = await Promise.all(Array.from({ length: connections }, () => session(address)));
  const took: number[] = [];
  const began = performance.now();
  const caller = async (through: ClientHttp2Session) => {
    while (performance.now() < until && stop?.aborted !== true) {
      const asked = performance.now();
      await get(through, reading.token, reading.name());
      took.push(performance.now() - asked);
    }
  };
  try {
    const callers = sessions.flatMap((through) => Array.from({ length: streams }, () => caller(through)));
    await Promise.all(callers);
    return { rate: took.length / ((performance.now() - began) / 1000), took };
  } finally {
    for (const each of sessions) each.destroy();
  }
}

function session(address: string): Promise<ClientHttp2Session> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
  const through = connect(`http://${address}`, () => resolve(through));
  through.on("error", reject);
  return promise;
}

/** Resolves with the answer's bytes, its gRPC prefix included. */
function get(through: ClientHttp2Session, token: string, name: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const stream = through.request({
    ":method": "POST",
    ":path": PATH,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${token}`,
  });
  let [status, bytes]: [unknown, number] = [undefined, 0];
  const look = (headers: Record<string, unknown>) => {
    status = headers["grpc-status"] ?? status;
  };
  stream.on("response", look);
  stream.on("trailers", look);
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.on("error", reject);
  stream.on("close", () => {
    if (status === "0" && bytes > 5) resolve(bytes);
    else reject(new Error(`GetSecret of ${name} failed with status ${status}`));
  });
  const message = toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { name }));
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  stream.end(frame);
  return promise;
}
