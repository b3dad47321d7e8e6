import { Server, ServerCredentials } from "@grpc/grpc-js";

/**
 * The measure of reads: a grpc-js handler that answers the bytes it was given and does nothing else. Prints its
 * address when it is ready.
 */
const answer = Buffer.from(process.argv[2] ?? "", "base64");
const same = (bytes: Buffer) => bytes;
const server = new Server({ "grpc.enable_channelz": 0, "grpc.max_concurrent_streams": 1000 });
server.addService(
  {
    get: {
      path: "/bench.Empty/Get",
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  },
  { get: (_call: unknown, callback: (error: null, bytes: Buffer) => void) => callback(null, answer) },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`listening on 127.0.0.1:${port}\n`);
});
