import {
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { CallOptions as GrpcCallOptions, ServiceError } from "@grpc/grpc-js";
import type { Connection } from "./connection.ts";
import { SlotsError } from "./errors.ts";
import { errorFromStatus } from "./status-details.ts";

/** One attempt failed; `token` is what it was sent with, so that a newer one can be told apart. */
export type Attempt<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: SlotsError; readonly token: string | undefined };

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function cancelled(): SlotsError {
  return new SlotsError("CANCELLED", "the call was cancelled", { reason: "CANCELLED" });
}

const serialize =
  <I extends DescMessage>(desc: I) =>
  (message: MessageShape<I>): Buffer =>
    Buffer.from(toBinary(desc, message));

const deserialize =
  <O extends DescMessage>(desc: O) =>
  (bytes: Buffer): MessageShape<O> =>
    fromBinary(desc, bytes);

/** One attempt of a unary call. `fresh` reads the token and the TLS files again. */
export async function unaryAttempt<I extends DescMessage, O extends DescMessage>(
  connection: Connection,
  method: DescMethodUnary<I, O>,
  request: MessageShape<I>,
  options: { readonly deadline: Date; readonly signal: AbortSignal | undefined; readonly fresh: boolean },
): Promise<Attempt<MessageShape<O>>> {
  const { deadline, signal, fresh } = options;
  const { metadata, token } = await connection.headers(fresh);
  const channel = await connection.channel(fresh);
  if (signal?.aborted) return { ok: false, error: cancelled(), token };
  return new Promise((resolve) => {
    const call = channel.makeUnaryRequest(
      pathOf(method),
      serialize(method.input),
      deserialize(method.output),
      request,
      metadata,
      { deadline } satisfies GrpcCallOptions,
      (error: ServiceError | null, response?: MessageShape<O>) => {
        signal?.removeEventListener("abort", cancel);
        ended();
        if (error !== null) resolve({ ok: false, error: errorFromStatus(error), token });
        else resolve({ ok: true, value: response! });
      },
    );
    const cancel = (): void => call.cancel();
    const ended = connection.running(cancel);
    signal?.addEventListener("abort", cancel);
  });
}

/** A stream that runs: its messages, then nothing more or the error that ended it. */
export type ServerStream<T> = {
  readonly messages: AsyncIterable<T>;
  /** The token that it was opened with. */
  readonly token: string | undefined;
  cancel(): void;
};

/** Opens a server stream. The messages end when the server ends it OK, and throw a SlotsError otherwise. */
export async function openStream<I extends DescMessage, O extends DescMessage>(
  connection: Connection,
  method: DescMethodServerStreaming<I, O>,
  request: MessageShape<I>,
  signal: AbortSignal | undefined,
): Promise<ServerStream<MessageShape<O>>> {
  const { metadata, token } = await connection.headers(true);
  const channel = await connection.channel(true);
  if (signal?.aborted) throw cancelled();
  const call = channel.makeServerStreamRequest(
    pathOf(method),
    serialize(method.input),
    deserialize(method.output),
    request,
    metadata,
  );
  const cancel = (): void => call.cancel();
  const ended = connection.running(cancel);
  signal?.addEventListener("abort", cancel);
  call.once("status", () => {
    ended();
    signal?.removeEventListener("abort", cancel);
  });
  // An error before anyone iterates must not be unhandled; iterating still throws it.
  call.on("error", () => {});
  return { messages: messagesOf<MessageShape<O>>(call), token, cancel };
}

async function* messagesOf<T>(
  call: AsyncIterable<T> & { cancel(): void },
): AsyncGenerator<T, void, undefined> {
  let ended = false;
  try {
    yield* call;
    ended = true;
  } catch (error) {
    ended = true;
    throw errorFromStatus(error as ServiceError);
  } finally {
    if (!ended) call.cancel();
  }
}
