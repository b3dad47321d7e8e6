import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { afterAll, beforeAll, expect, it } from "vitest";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { memoryOf } from "../support/processes.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";

const MESSAGE_BYTES = 1_000_000;
/** As many as a server may hold. */
const HELD = 16;
const STREAMS = 60;

let server: ServerProcess;
let session: ClientHttp2Session;

beforeAll(async () => {
  const args = ["--max-message-bytes", `${MESSAGE_BYTES}`, "--max-value-bytes", "500000"];
  server = await ServerProcess.start({ args });
  session = connect(`http://${server.address}`);
});

afterAll(async () => {
  session?.destroy();
  await server?.dispose();
});

interface Begun {
  readonly stream: ClientHttp2Stream;
  status: string | undefined;
  message: string;
  code: number | undefined;
}

/** A call without a token, of which nothing ends the request. */
function begin(rpc: string, type: string): Begun {
  const stream = session.request(
    {
      ":method": "POST",
      ":path": `/${SecretService.typeName}/${rpc}`,
      te: "trailers",
      "content-type": type,
    },
    { endStream: false },
  );
  const begun: Begun = { stream, status: undefined, message: "", code: undefined };
  stream.on("response", (headers) => {
    begun.status = headers["grpc-status"] as string | undefined;
    begun.message = decodeURI(String(headers["grpc-message"]));
  });
  stream.on("error", () => {});
  stream.on("close", () => {
    begun.code = stream.rstCode;
  });
  stream.resume();
  return begun;
}

function write(stream: ClientHttp2Stream, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    stream.once("close", resolve);
    stream.write(bytes, () => resolve());
  });
}

/** A prefix that promises `length` bytes, and `sent` of them. */
function part(length: number, sent: number): Buffer {
  const bytes = Buffer.alloc(5 + sent, "x");
  bytes[0] = 0;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

it.each([
  ["PutSlot", "application/grpc"],
  ["WatchSecret", "application/grpc"],
  ["PutSlot", "application/grpc;odd"],
])(
  "requests that never end have a bound, past which the oldest is refused: %s as %s (S6)",
  async (rpc, type) => {
    const before = memoryOf(server.pid);
    const calls = Array.from({ length: STREAMS }, () => begin(rpc, type));
    for (const { stream } of calls) await write(stream, part(MESSAGE_BYTES, 900_000));
    const open = () => calls.filter(({ stream }) => !stream.closed && !stream.destroyed);
    await waitFor("the oldest to be refused", () => open().length <= HELD);
    // The youngest are not touched, and what is refused says why.
    expect(calls.slice(0, STREAMS - HELD).every(({ stream }) => stream.closed)).toBe(true);
    expect(open().length).toBeGreaterThan(HELD / 2);
    const [first] = calls as [Begun];
    if (type === "application/grpc") {
      expect(first.status).toBe("8");
      expect(first.message).toContain("this is the oldest");
    } else {
      expect(first.code).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    // Far more than they may hold, and far less than was sent of what Node takes before it collects.
    expect(memoryOf(server.pid) - before).toBeLessThan(200 << 20);
    const good = new Wire(server.address, server.adminToken);
    await good.put(`good/${rpc}`, 0n, Buffer.alloc(400_000, "v"));
    good.close();
    for (const { stream } of calls) stream.close(constants.NGHTTP2_CANCEL);
    await waitFor("their ends", () => open().length === 0);
  },
);

it("who is refused before the end of a request is told that the rest is not wanted", async () => {
  const { stream, ...begun } = begin("PutSlot", "application/grpc");
  let status: unknown;
  stream.on("response", (headers) => {
    status = headers["grpc-status"];
  });
  await write(stream, part(5_000_000, 2_000_000));
  await waitFor("the stream's end", () => stream.closed);
  expect(begun.code).toBeUndefined();
  expect([status, stream.rstCode]).toEqual(["8", constants.NGHTTP2_NO_ERROR]);
});
