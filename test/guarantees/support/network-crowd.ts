import { create, toBinary } from "@bufbuild/protobuf";
import { WatchSecretRequestSchema } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { FLAG, FRAME, frame, headerBlock, RawHttp2 } from "./raw-http2.ts";

/** Opens many connections, each left at another point, and never ends one of them. */
const [address = "", name = "", count = ""] = process.argv.slice(2);

const headers = headerBlock({
  ":method": "POST",
  ":scheme": "http",
  ":path": "/secretslots.v1.SecretService/WatchSecret",
  ":authority": address,
  "content-type": "application/grpc",
  te: "trailers",
  authorization: `Bearer ${process.env.SLOTS_TEST_TOKEN}`,
});
const request = toBinary(WatchSecretRequestSchema, create(WatchSecretRequestSchema, { name }));
const message = Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]);

/** Lets the server write as much as it likes, for the connection and each stream of it. */
const WIDE = 8 << 20;
const INITIAL_WINDOW_SIZE = 4;

function wideWindows(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
  settings.writeUInt32BE(WIDE, 2);
  const increment = Buffer.alloc(4);
  increment.writeUInt32BE(WIDE);
  return Buffer.concat([frame(FRAME.settings, 0, 0, settings), frame(FRAME.windowUpdate, 0, 0, increment)]);
}

async function watch(greeting: Uint8Array = Buffer.alloc(0)): Promise<RawHttp2> {
  const raw = await RawHttp2.open(address);
  await raw.send(greeting);
  await raw.send(frame(FRAME.headers, FLAG.endHeaders, 1, headers));
  await raw.send(frame(FRAME.data, FLAG.endStream, 1, message));
  return raw;
}

/** How far each comes: no byte, the greeting, half of a header block, a watch, one that fills the system's buffers. */
const STAGES: readonly (() => Promise<RawHttp2>)[] = [
  () => RawHttp2.open(address, false),
  () => RawHttp2.open(address),
  async () => {
    const raw = await RawHttp2.open(address);
    await raw.send(frame(FRAME.headers, 0, 1, headers.subarray(0, 40)));
    return raw;
  },
  () => watch(),
  () => watch(wideWindows()),
];

const all: RawHttp2[] = [];
for (let index = 0; index < Number(count); index += 1) {
  const raw = await STAGES[index % STAGES.length]?.();
  if (raw !== undefined) all.push(raw);
}
process.stdout.write(`${JSON.stringify({ open: all.length })}\n`);
process.stdin.resume();
