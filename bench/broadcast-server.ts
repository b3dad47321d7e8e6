import { Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";

/**
 * The measure of a fan-out: a grpc-js server that writes the bytes it was given to a stream when it opens, and to
 * all open streams when `Broadcast` is called, and does nothing else. Prints its address when it is ready.
 */
const message = Buffer.from(process.argv[2] ?? "", "base64");
const same = (bytes: Buffer) => bytes;
const method = (name: string, responseStream: boolean) => ({
  path: `/bench.Broadcast/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
const streams = new Set<ServerWritableStream<Buffer, Buffer>>();
const server = new Server({ "grpc.enable_channelz": 0, "grpc.max_concurrent_streams": 1000 });
server.addService(
  { watch: method("Watch", true), broadcast: method("Broadcast", false) },
  {
    watch: (stream: ServerWritableStream<Buffer, Buffer>) => {
      streams.add(stream);
      stream.once("cancelled", () => streams.delete(stream));
      stream.write(message);
    },
    broadcast: (_call: unknown, callback: (error: null, bytes: Buffer) => void) => {
      for (const stream of streams) stream.write(message);
      callback(null, Buffer.alloc(0));
    },
  },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`listening on 127.0.0.1:${port}\n`);
});
