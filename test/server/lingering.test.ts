import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  GetSecretRequestSchema,
  SecretService,
  WatchSecretRequestSchema,
} from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";

const NAME = "lingering/a";
/** An answer that nobody takes waits for 30 s. */
const PATIENCE_MS = 60_000;

let server: ServerProcess;
let session: ClientHttp2Session;

beforeAll(async () => {
  server = await ServerProcess.start({ args: ["--slow-consumer-seconds", "1"] });
  const wire = new Wire(server.address, server.adminToken);
  await wire.put(NAME, 0n, "a value");
  wire.close();
  // Takes headers, and not a byte of what follows them.
  session = connect(`http://${server.address}`, { settings: { initialWindowSize: 0 } });
});

afterAll(async () => {
  session?.destroy();
  await server?.dispose();
});

function call(rpc: string, message: Uint8Array): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": `/${SecretService.typeName}/${rpc}`,
    te: "trailers",
    "content-type": "application/grpc",
    authorization: `Bearer ${server.adminToken}`,
  });
  const request = Buffer.alloc(5 + message.length);
  request.writeUInt32BE(message.length, 1);
  request.set(message, 5);
  stream.on("error", () => {});
  stream.end(request);
  return stream;
}

it(
  "an answer that is not taken lets its stream go after a while, and so does the end of a watch (S6, W13)",
  async () => {
    const streams = [
      call(
        "WatchSecret",
        toBinary(WatchSecretRequestSchema, create(WatchSecretRequestSchema, { name: NAME })),
      ),
      call("GetSecret", toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { name: NAME }))),
    ];
    await waitFor("both ends", () => streams.every(({ closed }) => closed), PATIENCE_MS);
    expect(streams.map(({ rstCode }) => rstCode)).toEqual(streams.map(() => constants.NGHTTP2_CANCEL));
  },
  2 * PATIENCE_MS,
);
