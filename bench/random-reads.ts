import type { ClientHttp2Session } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { GetSecretRequestSchema } from "../gen/ts/secretslots/v1/secret_service_pb.ts";
import { call, session } from "./one-call.ts";

const path = "/secretslots.v1.SecretService/GetSecret";

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
      const request = create(GetSecretRequestSchema, { name: reading.name() });
      await call(through, { path, message: toBinary(GetSecretRequestSchema, request), token: reading.token });
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
