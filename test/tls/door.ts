import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { SlotsError } from "../../src/domain/errors.ts";
import { createTls, type Tls, type TlsOptions } from "../../src/server/tls/tls.ts";

/** A real server with two handlers: they say who the connection's certificate stands for. */
export interface Door extends AsyncDisposable {
  readonly port: number;
  readonly tls: Tls;
  readonly log: readonly string[];
  /** Why connections were cut, by the port of the client. */
  readonly refused: Map<number, string>;
  readonly files: Folder;
  /** The answer, or the status with the fault in brackets. */
  whoami(client?: ClientFiles): Promise<string>;
  client(client?: ClientFiles): DoorClient;
  /** How many are open, by what their TCP sockets told. */
  connections(): number;
}

export interface ClientFiles {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

export interface DoorOptions {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
  readonly crl?: string;
  readonly mode?: TlsOptions["clientCertificates"];
  /** What clients trust. */
  readonly root: string;
  readonly now?: () => number;
}

const raw = (bytes: Buffer) => bytes;
const METHOD = {
  requestStream: false,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
} as const;
const SERVICE = {
  whoami: { ...METHOD, path: "/door.Door/WhoAmI", responseStream: false },
  watch: { ...METHOD, path: "/door.Door/Watch", responseStream: true },
} as const;

export async function openDoor(options: DoorOptions): Promise<Door> {
  const files = folder();
  const write = (name: string, text: string | undefined) =>
    text === undefined ? undefined : files.write(name, text);
  const log: string[] = [];
  const refused = new Map<number, string>();
  const tls = createTls({
    certFile: files.write("server.crt", options.cert),
    keyFile: files.write("server.key", options.key),
    caFile: write("ca.crt", options.ca),
    crlFile: write("ca.crl", options.crl),
    clientCertificates: options.mode ?? (options.ca === undefined ? "none" : "optional"),
    report: (level, message) => log.push(`${level}: ${message}`),
    onRefused: (peer, code) => refused.set(Number(peer.split(":").at(-1)), code),
    // So that what passes shows the notification to work, not the poll.
    pollMs: 3600_000,
    ...(options.now && { now: options.now }),
  });
  const server = new grpc.Server();
  const watches = new Set<() => void>();
  tls.onRevocation(() => {
    for (const check of watches) check();
  });
  server.addService(SERVICE as unknown as grpc.ServiceDefinition, {
    whoami(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      try {
        const certificate = tls.clientCertificate(call);
        if (certificate === undefined) throw new SlotsError("UNAUTHENTICATED", "no identity");
        done(null, Buffer.from(certificate.principal.name));
      } catch (error) {
        done(status(error));
      }
    },
    watch(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      const certificate = tls.clientCertificate(call);
      call.write(Buffer.from(certificate?.principal.name ?? "anonymous"));
      const check = () => {
        if (!certificate?.isRevoked()) return;
        watches.delete(check);
        call.emit("error", { code: grpc.status.UNAUTHENTICATED, details: "revoked" });
      };
      watches.add(check);
      call.on("cancelled", () => watches.delete(check));
    },
  });
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const accept = tls.acceptor((socket) => injector.injectConnection(socket));
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    accept(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  const clients = new Set<DoorClient>();
  const client = (with_: ClientFiles = {}) => {
    const made = new DoorClient(port, with_.ca ?? options.root, with_);
    clients.add(made);
    return made;
  };
  return {
    port,
    tls,
    log,
    refused,
    files,
    client,
    connections: () => sockets.size,
    async whoami(with_) {
      const made = client(with_);
      try {
        return await made.whoami();
      } finally {
        made.close();
        clients.delete(made);
      }
    },
    async [Symbol.asyncDispose]() {
      for (const made of clients) made.close();
      tls.close();
      listener.close();
      server.forceShutdown();
      files.remove();
    },
  };
}

function status(error: unknown): grpc.StatusObject {
  const known = error instanceof SlotsError && error.code === "UNAUTHENTICATED";
  return {
    code: known ? grpc.status.UNAUTHENTICATED : grpc.status.INTERNAL,
    details: known ? (error.metadata.certificate ?? "nobody") : String(error),
    metadata: new grpc.Metadata(),
  };
}

/** A client without scruples: else its own OpenSSL would keep the worst certificates from being shown. */
const RECKLESS: SecureContextOptions = {
  ciphers: "DEFAULT@SECLEVEL=0",
  ecdhCurve: "P-256:P-384:P-224:secp256k1",
};

export class DoorClient {
  readonly #client: grpc.Client;

  constructor(port: number, root: string, files: ClientFiles) {
    const context = createSecureContext({ ...RECKLESS, ca: root, ...files });
    const credentials = grpc.credentials.createFromSecureContext(context);
    this.#client = new grpc.Client(`127.0.0.1:${port}`, credentials, {
      "grpc.ssl_target_name_override": "localhost",
      // A channel of its own: grpc-js shares connections between clients with equal settings.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 50,
    });
  }

  /** Never rejects: a refusal is `UNAUTHENTICATED(fault)` from the handler, `UNAVAILABLE()` from the handshake. */
  whoami(): Promise<string> {
    return new Promise((resolve) =>
      this.#client.makeUnaryRequest(
        SERVICE.whoami.path,
        raw,
        raw,
        Buffer.alloc(0),
        new grpc.Metadata(),
        { deadline: Date.now() + 20_000 },
        (error, answer) => {
          if (error === null) return resolve(String(answer));
          const ours = error.code === grpc.status.UNAVAILABLE ? "" : error.details;
          resolve(`${grpc.status[error.code]}(${ours})`);
        },
      ),
    );
  }

  watch(): grpc.ClientReadableStream<Buffer> {
    return this.#client.makeServerStreamRequest(SERVICE.watch.path, raw, raw, Buffer.alloc(0));
  }

  close(): void {
    this.#client.close();
  }
}

/** A plain TLS connection, to see what a handshake agrees on. */
export function handshake(door: Door, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        ...RECKLESS,
        host: "127.0.0.1",
        port: door.port,
        servername: "localhost",
        ALPNProtocols: ["h2"],
        ...options,
      },
      () => resolve(socket),
    );
    // Ports come again; what is there is about an earlier connection.
    socket.once("connect", () => door.refused.delete(socket.localPort ?? 0));
    socket.on("error", reject);
  });
}

export interface Folder {
  readonly path: string;
  write(name: string, text: string): string;
  remove(): void;
}

export function folder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "slots-tls-"));
  return {
    path,
    /** By rename, as tools that renew certificates do. */
    write(name, text) {
      writeFileSync(join(path, `${name}.tmp`), text);
      renameSync(join(path, `${name}.tmp`), join(path, name));
      return join(path, name);
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Waits for a condition, 20 s at most. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 20_000; ; ) {
    if (await condition()) return;
    if (Date.now() > end) throw new Error(`after 20 s not yet: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
