import { type ClientHttp2Session, connect } from "node:http2";

export interface Call {
  readonly path: string;
  /** The request message, without its gRPC prefix. */
  readonly message: Uint8Array;
  readonly token?: string | undefined;
}

/** A message with its gRPC prefix. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

export function session(address: string): Promise<ClientHttp2Session> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
  const through = connect(`http://${address}`, () => resolve(through));
  through.on("error", reject);
  return promise;
}

/**
 * A unary call with no gRPC library in between. Resolves with the bytes of its answer, the gRPC prefix included; fails
 * unless it ended with OK and had one.
 */
export function call(through: ClientHttp2Session, { path, message, token }: Call): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const stream = through.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
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
    else reject(new Error(`${path} failed with status ${status}`));
  });
  stream.end(framed(message));
  return promise;
}
