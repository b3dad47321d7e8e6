import { createServer } from "node:http2";

/** What the transport itself can do: `node:http2` answering the same gRPC frames, with no gRPC library in between. */
const answer = Buffer.from(process.argv[2] ?? "", "base64");
const frame = Buffer.alloc(5 + answer.length);
frame.writeUInt32BE(answer.length, 1);
frame.set(answer, 5);
const server = createServer({ settings: { maxConcurrentStreams: 1000 } });
server.on("stream", (stream) => {
  stream.on("error", () => {});
  stream.resume();
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(frame);
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`listening on 127.0.0.1:${typeof address === "object" ? address?.port : ""}\n`);
});
