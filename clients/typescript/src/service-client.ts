import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { openStream } from "./calls.ts";
import type { Connection } from "./connection.ts";
import type { CallOptions } from "./options.ts";
import { callUnary, type RetryPolicy } from "./unary.ts";

type Method<M> = M extends { methodKind: "unary"; input: infer I; output: infer O }
  ? I extends DescMessage
    ? O extends DescMessage
      ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
      : never
    : never
  : M extends { methodKind: "server_streaming"; input: infer I; output: infer O }
    ? I extends DescMessage
      ? O extends DescMessage
        ? (
            request: MessageInitShape<I>,
            options?: Pick<CallOptions, "signal">,
          ) => AsyncIterable<MessageShape<O>>
        : never
      : never
    : never;

type AnyService = Omit<DescService, "method"> & { readonly method: object };

/** The methods of a generated service as they stand on the wire, typed by its descriptor. */
export type ServiceClient<S extends AnyService> = {
  readonly [K in keyof S["method"]]: Method<S["method"][K]>;
};

/** Builds the methods of a service over a connection. A stream is one stream: nothing reconnects it. */
export function serviceClient<S extends AnyService>(
  service: S,
  connection: Connection,
  policy: RetryPolicy,
): ServiceClient<S> {
  const methods: Record<string, unknown> = {};
  for (const method of service.methods) {
    if (method.methodKind === "unary") {
      const unary = method as DescMethodUnary;
      methods[method.localName] = (request: MessageInitShape<DescMessage>, options?: CallOptions) =>
        callUnary(connection, policy, unary, request, options);
    } else if (method.methodKind === "server_streaming") {
      const streaming = method as DescMethodServerStreaming;
      methods[method.localName] = (request: MessageInitShape<DescMessage>, options?: CallOptions) =>
        stream(connection, streaming, request, options?.signal);
    }
  }
  return methods as ServiceClient<S>;
}

async function* stream<I extends DescMessage, O extends DescMessage>(
  connection: Connection,
  method: DescMethodServerStreaming<I, O>,
  request: MessageInitShape<I>,
  signal: AbortSignal | undefined,
): AsyncGenerator<MessageShape<O>, void, undefined> {
  const { messages } = await openStream(connection, method, create(method.input, request), signal);
  yield* messages;
}
