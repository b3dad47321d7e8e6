import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from "@grpc/grpc-js";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from "../../gen/ts/grpc/health/v1/health_pb.ts";

/** grpc.health.v1.Health, without identity: a load balancer has none. It tells only whether the server serves. */
export class HealthService {
  readonly #names: ReadonlySet<string>;
  readonly #watchers = new Set<() => void>();
  readonly #ends = new Set<() => void>();
  #serving = false;

  constructor(services: readonly string[]) {
    this.#names = new Set(["", Health.typeName, ...services]);
  }

  set serving(serving: boolean) {
    this.#serving = serving;
    for (const tell of this.#watchers) tell();
  }

  implementation() {
    return {
      check: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
        const name = serviceOf(call.request);
        if (name === undefined)
          answer({ code: status.INVALID_ARGUMENT, details: "the request is not a valid message" });
        else if (!this.#names.has(name)) answer({ code: status.NOT_FOUND, details: "unknown service" });
        else answer(null, this.#answer(name));
      },
      watch: (call: ServerWritableStream<Buffer, Buffer>) => {
        const name = serviceOf(call.request) ?? "?";
        const tell = () => call.write(this.#answer(name));
        tell();
        this.#watchers.add(tell);
        const end = () => call.end();
        this.#ends.add(end);
        call.once("cancelled", () => {
          this.#watchers.delete(tell);
          this.#ends.delete(end);
        });
      },
    };
  }

  /** Ends the streams of Watch, so that a server that stops need not wait for them. */
  close(): void {
    for (const end of this.#ends) end();
    this.#ends.clear();
    this.#watchers.clear();
  }

  #answer(name: string): Buffer {
    const known = this.#names.has(name);
    const serving = known ? (this.#serving ? Serving.SERVING : Serving.NOT_SERVING) : Serving.SERVICE_UNKNOWN;
    return Buffer.from(
      toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status: serving })),
    );
  }
}

function serviceOf(bytes: Buffer): string | undefined {
  try {
    return fromBinary(HealthCheckRequestSchema, bytes).service;
  } catch {
    return undefined;
  }
}
