import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { type CertifiedCall, CertifiedConnections, type ClientCertificate } from "./certified-connections.ts";
import { watchFiles } from "./files.ts";
import { LastGood } from "./last-good.ts";
import {
  type ClientTrust,
  checkClientTrust,
  checkServerIdentity,
  handshakeOptions,
  type ServerIdentity,
  type TlsFiles,
} from "./material.ts";
import { Trust } from "./trust.ts";

export type { CertifiedCall, ClientCertificate };

export interface TlsOptions extends TlsFiles {
  /** Whether a client may or must show a certificate; both need `caFile`. */
  readonly clientCertificates: "none" | "optional" | "required";
  /** One line for the operator's log. It names files, serial numbers and dates only. */
  readonly report: (level: "info" | "warn" | "error", message: string) => void;
  /**
   * Told of each connection that is cut for its certificate: the peer as grpc-js's `getPeer()` writes it, and
   * OpenSSL's code for the reason or one of ours.
   */
  readonly onRefused?: (peer: string, code: string) => void;
  /** Unix milliseconds. */
  readonly now?: () => number;
  /** How often the files are read for want of a notification, milliseconds. */
  readonly pollMs?: number;
}

export interface Tls {
  /**
   * Gives a function that takes a TCP connection through its handshake and then hands it to `ready`, to be injected
   * in a grpc-js server with insecure credentials. A client that shows a bad certificate is cut here, whether or not
   * one is required.
   */
  acceptor(ready: (socket: TLSSocket) => void): (connection: Socket) => void;
  /**
   * The identity that a call's connection proved; undefined when it showed no certificate, or one that names nobody.
   * Throws UNAUTHENTICATED when the certificate was revoked or has ended since the handshake: such a call is refused
   * even when it carries another proof.
   */
  clientCertificate(call: CertifiedCall): ClientCertificate | undefined;
  /** Reads the files now, as on a change. Never throws: what is wrong is reported, what was last good stays. */
  reload(): void;
  /** Calls back when open connections have lost their trust, to end their streams (W12); returns the way to stop. */
  onRevocation(callback: () => void): () => void;
  /** Stops watching. Connections live on. */
  close(): void;
}

const POLL_MS = 5_000;
/** Node's 120 s would let a stranger keep half-open connections for two minutes each. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Throws when the files can't be used: a server must not start without the protection it was told to have. */
export function createTls(options: TlsOptions): Tls {
  return new ReloadingTls(options);
}

interface Acceptor {
  readonly ready: (socket: TLSSocket) => void;
  server: Server;
}

const NONE = Buffer.alloc(0);
const NO_TRUST = new Trust([], []);

class ReloadingTls implements Tls {
  readonly #options: TlsOptions;
  readonly #watcher: { close(): void };
  readonly #listeners = new Set<() => void>();
  readonly #acceptors: Acceptor[] = [];
  readonly #certified: CertifiedConnections;
  /** Two parts that stand by themselves: a broken key must not keep a revocation from taking hold. */
  readonly #identity: LastGood<ServerIdentity>;
  readonly #client: LastGood<ClientTrust> | undefined;

  constructor(options: TlsOptions) {
    const { clientCertificates, certFile, keyFile, caFile, crlFile, now = Date.now } = options;
    if (clientCertificates !== "none" && caFile === undefined) {
      // Without one Node would trust every public authority on earth.
      throw new Error("client certificates need a CA file");
    }
    if (clientCertificates === "none" && (caFile ?? crlFile) !== undefined) {
      throw new Error("a CA or CRL file has no effect unless client certificates are asked for");
    }
    this.#options = options;
    this.#certified = new CertifiedConnections(now);
    // Watched before the first reading, so that a change in between is not missed.
    const given = (...files: (string | undefined)[]) => files.filter((file) => file !== undefined);
    this.#watcher = watchFiles(given(certFile, keyFile, caFile, crlFile), () => this.reload(), {
      pollMs: options.pollMs ?? POLL_MS,
    });
    try {
      this.#identity = new LastGood([certFile, keyFile], ([cert = NONE, key = NONE]) =>
        checkServerIdentity(cert, key, now()),
      );
      this.#client =
        caFile === undefined
          ? undefined
          : new LastGood(given(caFile, crlFile), ([ca = NONE, crl]) => checkClientTrust(ca, crl, now()));
    } catch (error) {
      this.#watcher.close();
      throw error;
    }
    this.#announceIdentity("loaded");
    this.#warn(this.#client?.value.warnings);
  }

  acceptor(ready: (socket: TLSSocket) => void): (connection: Socket) => void {
    const acceptor = { ready, server: this.#handshakeServer(ready) };
    this.#acceptors.push(acceptor);
    return (connection) => void acceptor.server.emit("connection", connection);
  }

  clientCertificate(call: CertifiedCall): ClientCertificate | undefined {
    return this.#certified.of(call);
  }

  reload(): void {
    const identity = this.#identity.refresh();
    if (identity.kind === "bad") this.#keep("certificate", identity.why);
    const client = this.#client?.refresh();
    if (client?.kind === "bad") this.#keep("client authorities", client.why);
    if (identity.kind !== "new" && client?.kind !== "new") return;

    for (const acceptor of this.#acceptors) acceptor.server = this.#handshakeServer(acceptor.ready);
    if (identity.kind === "new") this.#announceIdentity("reloaded");
    if (client?.kind !== "new") return;
    this.#options.report("info", "TLS client authorities reloaded");
    this.#warn(this.#client?.value.warnings);
    const lost = this.#certified.judgeAll(this.#trust);
    if (lost === 0) return;
    this.#options.report("info", `${lost} open connections lost the trust in their certificates`);
    for (const listener of this.#listeners) listener();
  }

  onRevocation(callback: () => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  close(): void {
    this.#watcher.close();
    this.#listeners.clear();
  }

  /**
   * One server object for each reading of the files, never listening, only given connections: so a handshake is
   * known to have been judged by that reading, and those under way are not touched by the next.
   */
  #handshakeServer(ready: (socket: TLSSocket) => void): Server {
    const trust = this.#trust;
    const server = createServer({
      ...handshakeOptions(this.#identity.value, this.#client?.value),
      requestCert: this.#options.clientCertificates !== "none",
      // A bad certificate is cut below, where the reason is known; without one, "optional" lets the client in.
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      // Without a listener a reset connection would end the process.
      socket.on("error", () => {});
      const code = this.#examine(socket, trust);
      if (code === undefined) {
        ready(socket);
        return;
      }
      const { remoteAddress, remotePort } = socket;
      socket.destroy();
      this.#options.onRefused?.(
        remoteAddress === undefined ? "unknown" : `${remoteAddress}:${remotePort}`,
        code,
      );
    });
    return server;
  }

  /** Why a connection must be refused, undefined when it is welcome. */
  #examine(socket: TLSSocket, trust: Trust): string | undefined {
    if (socket.alpnProtocol !== "h2") return "NO_HTTP2";
    try {
      const leaf = socket.getPeerX509Certificate();
      if (leaf !== undefined) return this.#certified.admit(socket, leaf, trust, this.#trust);
      return this.#options.clientCertificates === "required" ? "CERTIFICATE_REQUIRED" : undefined;
    } catch {
      // Nothing that a client shows may end the process (S6).
      return "UNREADABLE";
    }
  }

  get #trust(): Trust {
    return this.#client?.value.trust ?? NO_TRUST;
  }

  #announceIdentity(what: string): void {
    const { summary, warnings } = this.#identity.value;
    this.#options.report("info", `TLS certificate ${what}: ${summary}`);
    this.#warn(warnings);
  }

  #warn(warnings: readonly string[] = []): void {
    for (const warning of warnings) this.#options.report("warn", warning);
  }

  #keep(what: string, why: string): void {
    this.#options.report("error", `TLS ${what} not usable, what was last good stays in use: ${why}`);
  }
}
