import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Alarms } from "../core/alarms.ts";
import type { Call, Send } from "../core/call.ts";
import type { Rpc } from "../core/required-action.ts";
import { SlotsError } from "../domain/errors.ts";
import type { Head } from "../storage/records.ts";
import type { OpenStreams } from "./open-streams.ts";
import { type OutgoingStream, serveStream } from "./serve-stream.ts";
import { type ArrivedCall, ServerCall } from "./server-call.ts";
import { grpcStatus, toSlotsError } from "./status.ts";

/** A message that was encoded once for many; its bytes are shared and must not be written to. */
export type Encoded = Uint8Array;

type UnaryHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  call: Call,
) => Promise<MessageInitShape<O> | Encoded>;
type StreamHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  call: Call,
  send: Send<MessageInitShape<O> | Encoded>,
) => Promise<void>;

/** One handler for each RPC of a service; an RPC without one, or without a required action, does not compile. */
export type Handlers<S extends DescService> = {
  [K in keyof S["method"]]: K extends Uncapitalize<Rpc> ? Handler<S["method"][K]> : never;
};

type Handler<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? UnaryHandler<I, O>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? StreamHandler<I, O>
      : never;

/** What stands between the wire and the handlers. */
export interface Gate {
  /**
   * Who is it? Throws UNAUTHENTICATED, or RESOURCE_EXHAUSTED when a bound is reached. `head`: where the store stands,
   * when that was read after the call had come in.
   */
  enter(call: ArrivedCall, head?: Head): Promise<Call> | Call;
  /** Told of each call that ended, with what it failed with; never of a value. */
  ended(call: ArrivedCall, error: SlotsError | undefined): void;
  readonly streams: OpenStreams;
  readonly alarms: Alarms;
  /** How long one write may stay unflushed, milliseconds (W13). */
  readonly slowConsumerMs: number;
}

type RawUnary = ServerUnaryCall<Buffer, Buffer>;
type RawStream = ServerWritableStream<Buffer, Buffer>;

/**
 * Bytes in, bytes out: grpc-js would answer INTERNAL for a message that does not decode, so it is given nothing
 * to decode. That also lets the order of checks be the contract's: authenticate, then decode.
 */
export function serviceDefinition(service: DescService): ServiceDefinition {
  const same = (bytes: Buffer) => bytes;
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream: method.methodKind === "bidi_streaming",
        responseStream: method.methodKind !== "unary",
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    ]),
  );
}

/** A unary RPC over bytes, whoever carries them. */
export interface UnaryRpc {
  readonly rpc: Rpc;
  /** `/package.Service/Method` */
  readonly path: string;
  /** Throws what the call fails with. */
  serve(message: Uint8Array, call: Call): Promise<Buffer>;
}

export function unaryRpcs<S extends DescService>(service: S, handlers: Handlers<S>): readonly UnaryRpc[] {
  return service.methods
    .filter(({ methodKind }) => methodKind === "unary")
    .map((method) => {
      const handler = handlerOf(handlers, method) as UnaryHandler<DescMessage, DescMessage>;
      return {
        rpc: method.name as Rpc,
        path: `/${service.typeName}/${method.name}`,
        serve: async (message, call) =>
          encode(method.output, await handler(decode(method.input, message), call)),
      };
    });
}

/** `rpcs`: what `unaryRpcs` made of them. */
export function serviceImplementation<S extends DescService>(
  service: S,
  handlers: Handlers<S>,
  rpcs: readonly UnaryRpc[],
  gate: Gate,
): UntypedServiceImplementation {
  const unary = new Map(rpcs.map((each) => [each.rpc as string, each]));
  return Object.fromEntries(
    service.methods.map((method) => {
      const answered = unary.get(method.name);
      if (answered !== undefined) {
        return [
          method.localName,
          (raw: RawUnary, answer: sendUnaryData<Buffer>) => void serveUnary(answered, raw, answer, gate),
        ];
      }
      const handler = handlerOf(handlers, method) as StreamHandler<DescMessage, DescMessage>;
      return [method.localName, (raw: RawStream) => void serveGrpcStream(method, handler, raw, gate)];
    }),
  );
}

function handlerOf(handlers: object, { localName, name }: DescMethod): unknown {
  const handler = (handlers as Record<string, unknown>)[localName];
  if (handler === undefined) throw new Error(`no handler for ${name}`);
  return handler;
}

async function serveUnary(
  { rpc, serve }: UnaryRpc,
  raw: RawUnary,
  answer: sendUnaryData<Buffer>,
  gate: Gate,
): Promise<void> {
  const call = new ServerCall(rpc, raw);
  let bytes: Buffer;
  try {
    const entered = gate.enter(call);
    // Awaiting what is there already would cost every call a turn of the microtask queue.
    const known = entered instanceof Promise ? await entered : entered;
    bytes = await serve(raw.request, known);
  } catch (thrown) {
    const error = toSlotsError(thrown);
    gate.ended(call, error);
    answer(grpcStatus(error));
    return;
  }
  gate.ended(call, undefined);
  answer(null, bytes);
}

function serveGrpcStream(
  method: DescMethod,
  handler: StreamHandler<DescMessage, DescMessage>,
  raw: RawStream,
  gate: Gate,
): Promise<void> {
  const out: OutgoingStream = {
    write: (message, taken) => raw.write(message, taken),
    end: () => raw.end(),
    fail: (status) => raw.emit("error", status),
  };
  return serveStream(new ServerCall(method.name as Rpc, raw), out, gate, (known, send) =>
    handler(decode(method.input, raw.request), known, (message, taken) =>
      send(encode(method.output, message), taken),
    ),
  );
}

/** Throws MALFORMED_REQUEST. */
export function decode<M extends DescMessage>(schema: M, bytes: Uint8Array): MessageShape<M> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    // The decoder's own message may quote what was sent; the caller is told only that it did not decode.
    throw new SlotsError("MALFORMED_REQUEST", "the request is not a valid message of this RPC", { cause });
  }
}

function encode(schema: DescMessage, message: MessageInitShape<DescMessage> | Encoded): Buffer {
  if (message instanceof Buffer) return message;
  const bytes = message instanceof Uint8Array ? message : toBinary(schema, create(schema, message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
