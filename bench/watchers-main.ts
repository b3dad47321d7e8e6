import { connect } from "node:http2";
import { now } from "./clock.ts";
import type { WatchersOptions } from "./watchers.ts";

const PREFIX_BYTES = 5;

/**
 * Holds many streams open over `node:http2` and counts, since decoding would cost more than what is measured. Sends
 * its parent the time, by the clock that all processes share, whenever every stream has got one more message.
 */
const options: WatchersOptions = JSON.parse(process.env.WATCHERS ?? "{}");
const message = Buffer.from(options.message, "base64");
const frame = Buffer.alloc(PREFIX_BYTES + message.length);
frame.writeUInt32BE(message.length, 1);
frame.set(message, PREFIX_BYTES);
const everyone = options.connections * options.streams;
/** Room for a message of every stream, so that none is cut in two. */
const WINDOW = 16 * 1024 * 1024;

let arrived = 0;
/** Counts the messages of one stream. One is in pieces when what was read of the socket ends within it. */
const counter = () => {
  let begun: Buffer | undefined;
  return (piece: Buffer) => {
    const chunk = begun === undefined ? piece : Buffer.concat([begun, piece]);
    const length = chunk.length < PREFIX_BYTES ? Infinity : PREFIX_BYTES + chunk.readUInt32BE(1);
    if (chunk.length > length) throw new Error("two messages came in one piece");
    begun = chunk.length < length ? chunk : undefined;
    // Signs of life are small.
    if (begun !== undefined || length < options.least) return;
    arrived += 1;
    if (arrived % everyone === 0) process.send?.(now());
  };
};

for (let connection = 0; connection < options.connections; connection++) {
  const session = connect(`http://${options.address}`, { settings: { initialWindowSize: WINDOW } });
  session.once("connect", () => {
    session.setLocalWindowSize(WINDOW);
    for (let index = 0; index < options.streams; index++) {
      const stream = session.request({
        ":method": "POST",
        ":path": options.path,
        "content-type": "application/grpc",
        te: "trailers",
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      });
      stream.on("data", counter());
      stream.once("close", () => {
        throw new Error(`a watch ended with ${stream.sentTrailers?.["grpc-status"] ?? stream.rstCode}`);
      });
      if (options.bothWays) stream.write(frame);
      else stream.end(frame);
    }
  });
}
process.once("disconnect", () => process.exit());
