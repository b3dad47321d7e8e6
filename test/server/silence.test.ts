import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { BoundSource } from "../../src/server/connections/bound-source.ts";
import { Listener } from "../../src/server/connections/listener.ts";
import { ConcurrencyLimit } from "../../src/server/limits.ts";
import { createTls } from "../../src/server/tls/tls.ts";
import { waitFor } from "../support/wait-for.ts";
import { folder } from "../tls/door.ts";
import * as pki from "../tls/pki.ts";

/** That a connection is cut once it brings nothing more, and only then; what a lost cable does is in guarantees/network. */
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

async function listen(silenceMs: number, accept: (socket: Socket) => void) {
  const listener = new Listener({
    source: new BoundSource({ kind: "tcp", host: "127.0.0.1", port: 0 }),
    connections: new ConcurrencyLimit({ max: 100, reason: "TOO_MANY_CONNECTIONS", retryAfterMs: 0 }),
    silenceMs,
    accept,
    refused: () => {},
  });
  const address = (await listener.listen()) ?? "";
  cleanups.push(() => {
    listener.close();
    listener.destroy();
  });
  return address;
}

const same = (bytes: Buffer) => bytes;
const ECHO = {
  path: "/test.Test/Echo",
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const;

test.each(["plain", "TLS"])(
  "under HTTP/2 (%s) a TCP socket still tells how much it was brought",
  async (kind) => {
    const server = new Server();
    server.addService({ echo: ECHO }, { echo });
    cleanups.push(() => server.forceShutdown());
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const inject = (socket: Socket) => injector.injectConnection(socket);
    const files = folder();
    cleanups.push(() => files.remove());
    const root = await pki.authority({ subject: "CN=root" });
    const made = await pki.server(root);
    const tls = createTls({
      certFile: files.write("server.crt", made.pem),
      keyFile: files.write("server.key", made.keyPem),
      clientCertificates: "none",
      report: () => {},
    });
    cleanups.push(() => tls.close());
    const accept = kind === "TLS" ? tls.acceptor(inject) : inject;
    const sockets: Socket[] = [];
    const address = await listen(3_600_000, (socket) => {
      sockets.push(socket);
      accept(socket);
    });
    const secure = credentials.createSsl(Buffer.from(root.pem));
    const client = new Client(address, kind === "TLS" ? secure : credentials.createInsecure(), {
      "grpc.ssl_target_name_override": "localhost",
    });
    cleanups.push(() => client.close());
    const call = () =>
      new Promise<void>((resolve, reject) =>
        client.makeUnaryRequest(ECHO.path, same, same, Buffer.from("hello"), new Metadata(), (error) =>
          error ? reject(error) : resolve(),
        ),
      );
    let before = 0;
    for (let round = 0; round < 3; round += 1) {
      await call();
      const after = sockets[0]?.bytesRead ?? 0;
      expect(after).toBeGreaterThan(before);
      before = after;
    }
  },
);

function echo(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
  answer(null, call.request);
}

test("a connection that brings nothing is cut, though a write to it waits", async () => {
  let accepted: Socket | undefined;
  const address = await listen(1, (socket) => {
    accepted = socket;
    // Nobody reads it, so that it never leaves.
    socket.write(Buffer.alloc(32 << 20));
  });
  const peer = connect(Number(address.split(":").at(-1)), "127.0.0.1");
  peer.pause();
  peer.on("error", () => {});
  cleanups.push(() => peer.destroy());
  await once(peer, "connect");
  await waitFor("the cut", () => accepted?.destroyed === true);
});
