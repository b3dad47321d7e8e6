import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";

/** What a call failed with, as it stands on the wire. */
export class WireError extends Error {
  readonly code: string;
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fields: readonly string[];
  readonly retryAfterMs: number | undefined;

  constructor(error: ServiceError) {
    super(error.details);
    this.code = status[error.code] ?? String(error.code);
    const [raw] = error.metadata?.get("grpc-status-details-bin") ?? [];
    const details = raw instanceof Buffer ? fromBinary(StatusSchema, raw).details : [];
    const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((each) => each !== undefined);
    this.reason = info?.reason ?? "";
    this.domain = info?.domain ?? "";
    this.metadata = info?.metadata ?? {};
    const bad = details.map((any) => anyUnpack(any, BadRequestSchema)).find((each) => each !== undefined);
    this.fields = (bad?.fieldViolations ?? []).map(({ field }) => field);
    const retry = details
      .map((any) => anyUnpack(any, RetryInfoSchema))
      .find((each) => each !== undefined)?.retryDelay;
    this.retryAfterMs = retry === undefined ? undefined : Number(retry.seconds) * 1000 + retry.nanos / 1e6;
  }
}

/** A stream that is read one message at a time, so that a test decides how fast. */
export interface WireStream<T> extends AsyncIterableIterator<T> {
  /** The next message; fails when the stream ends or nothing comes in time. */
  take(ms?: number): Promise<T>;
  cancel(): void;
}

type UnaryInput<M> = M extends DescMethodUnary<infer I, DescMessage> ? MessageInitShape<I> : never;
type UnaryOutput<M> = M extends DescMethodUnary<DescMessage, infer O> ? MessageShape<O> : never;
type StreamInput<M> = M extends DescMethodServerStreaming<infer I, DescMessage> ? MessageInitShape<I> : never;
type StreamOutput<M> = M extends DescMethodServerStreaming<DescMessage, infer O> ? MessageShape<O> : never;

const same = (bytes: Buffer) => bytes;

/** Calls with nothing of a client of ours in between: no retry, no check, no default. */
export class Wire {
  readonly #client: Client;
  readonly #authorization: string | undefined;

  constructor(
    address: string,
    token: string | undefined,
    channel: ChannelCredentials = credentials.createInsecure(),
    options: Record<string, string | number> = {},
  ) {
    // One connection for each, so that what happens to it happens to this caller alone.
    this.#client = new Client(address, channel, { "grpc.use_local_subchannel_pool": 1, ...options });
    this.#authorization = token === undefined ? undefined : `Bearer ${token}`;
  }

  call<M extends DescMethodUnary>(method: M, request: UnaryInput<M>): Promise<UnaryOutput<M>> {
    const bytes = toBinary(method.input, create(method.input, request));
    return this.raw(method.parent.typeName, method.name, bytes).then(
      (answer) => fromBinary(method.output, answer) as UnaryOutput<M>,
    );
  }

  /** Any bytes to any path, with any headers. */
  raw(
    service: string,
    method: string,
    bytes: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
    deadlineMs = 30_000,
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/${service}/${method}`,
        same,
        same,
        Buffer.from(bytes),
        this.#metadata(headers),
        { deadline: Date.now() + deadlineMs },
        (error, answer) => (error ? reject(new WireError(error)) : resolve(answer as Buffer)),
      );
    });
  }

  stream<M extends DescMethodServerStreaming>(
    method: M,
    request: StreamInput<M>,
  ): WireStream<StreamOutput<M>> {
    const call = this.#client.makeServerStreamRequest(
      `/${method.parent.typeName}/${method.name}`,
      same,
      same,
      Buffer.from(toBinary(method.input, create(method.input, request))),
      this.#metadata({}),
    );
    call.on("error", () => {});
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const next = async (): Promise<IteratorResult<StreamOutput<M>>> => {
      try {
        const { done, value } = await messages.next();
        if (done) return { done: true, value: undefined };
        return { done: false, value: fromBinary(method.output, value) as StreamOutput<M> };
      } catch (error) {
        throw error instanceof Error && "details" in error ? new WireError(error as ServiceError) : error;
      }
    };
    return {
      next,
      [Symbol.asyncIterator]() {
        return this;
      },
      take: async (ms = 30_000) => {
        const timeout = Promise.withResolvers<never>();
        const timer = setTimeout(() => timeout.reject(new Error(`no message within ${ms} ms`)), ms);
        try {
          const { done, value } = await Promise.race([next(), timeout.promise]);
          if (done) throw new Error("the stream ended");
          return value;
        } finally {
          clearTimeout(timer);
        }
      },
      cancel: () => call.cancel(),
    };
  }

  put(name: string, slot: bigint, value: string | Uint8Array, more: Record<string, unknown> = {}) {
    const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
    return this.call(SecretService.method.putSlot, {
      name,
      slot,
      value: bytes as Uint8Array<ArrayBuffer>,
      ...more,
    });
  }

  get(name: string) {
    return this.call(SecretService.method.getSecret, { name });
  }

  at(name: string, at: bigint) {
    return this.call(SecretService.method.getEffectiveAt, { name, at });
  }

  watch(name: string, more: { resumeToken?: string; allowMissing?: boolean } = {}) {
    return this.stream(SecretService.method.watchSecret, { name, ...more });
  }

  watchSlots(names: string[], more: { resumeToken?: string; allowMissing?: boolean; view?: number } = {}) {
    return this.stream(SecretService.method.watchSlots, { names, ...more } as never);
  }

  async createToken(principal: string, expireMs?: number): Promise<{ token: string; tokenId: string }> {
    const expireTime =
      expireMs === undefined
        ? {}
        : { expireTime: { seconds: BigInt(Math.floor(expireMs / 1000)), nanos: (expireMs % 1000) * 1e6 } };
    const { token, metadata } = await this.call(AdminService.method.createToken, {
      principal,
      ...expireTime,
    });
    return { token, tokenId: metadata?.tokenId ?? "" };
  }

  close(): void {
    this.#client.close();
  }

  #metadata(headers: Readonly<Record<string, string>>): Metadata {
    const metadata = new Metadata();
    if (this.#authorization !== undefined) metadata.set("authorization", this.#authorization);
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return metadata;
  }
}

/** The error that a promise fails with; fails when it does not. */
export async function failure(promise: Promise<unknown>): Promise<WireError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("expected the call to fail");
}

export const text = (value: Uint8Array): string => new TextDecoder().decode(value);
