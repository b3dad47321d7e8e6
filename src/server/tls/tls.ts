import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { createServer, type PeerCertificate, type Server, type TLSSocket } from "node:tls";
import type { ServerUnaryCall } from "@grpc/grpc-js";
import type { Principal } from "../../domain/access.ts";
import { SlotsError } from "../../domain/errors.ts";
import { certificateIdentity } from "../identity/certificate.ts";
import { watchFiles } from "./files.ts";
import {
  checkTlsMaterial,
  readTlsFiles,
  type TlsContents,
  type TlsFiles,
  type TlsMaterial,
} from "./material.ts";
import type { Trust } from "./trust.ts";

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

/** Who a connection's certificate stands for, and whether it still does. */
export interface ClientCertificate {
  readonly principal: Principal;
  readonly isRevoked: () => boolean;
}

/** What is asked of a grpc-js call, unary or stream. */
export type CertifiedCall = Pick<ServerUnaryCall<unknown, unknown>, "getAuthContext">;

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
  /** Reads the files now, as on a change. Never throws: what is wrong is reported, the last good set stays. */
  reload(): void;
  /** Calls back when open connections have lost their trust, to end their streams (W12); returns the way to stop. */
  onRevocation(callback: () => void): () => void;
  /** Stops watching. Connections live on. */
  close(): void;
}

const POLL_MS = 5_000;
/** Node's 120 s would let a stranger keep half-open connections for two minutes each. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Time for a revoked connection's streams to end with their status before it is cut; no new call gets in. */
const FAREWELL_MS = 5_000;

/** Throws when the files can't be used: a server must not start without the protection it was told to have. */
export function createTls(options: TlsOptions): Tls {
  return new ReloadingTls(options);
}

/** An open connection with a client certificate that was good at its handshake. */
interface Certified {
  readonly socket: TLSSocket;
  readonly leaf: X509Certificate;
  /** The authorities above it that were known then. */
  readonly path: readonly X509Certificate[];
  readonly until: number;
  /** Undefined when the certificate names nobody. */
  readonly identity: ClientCertificate | undefined;
  /** The reading of the files that it was judged by last. */
  judgedBy: Trust;
  revoked: boolean;
}

interface Acceptor {
  readonly ready: (socket: TLSSocket) => void;
  server: Server;
}

class ReloadingTls implements Tls {
  readonly #options: TlsOptions;
  readonly #files: TlsFiles;
  readonly #now: () => number;
  readonly #watcher: { close(): void };
  readonly #listeners = new Set<() => void>();
  readonly #acceptors: Acceptor[] = [];
  readonly #open = new Set<Certified>();
  /** By what grpc-js is told of the peer. */
  readonly #byPeer = new WeakMap<PeerCertificate, Certified>();
  /** What was read last, good or bad: a bad set is reported once, not at every poll. */
  #seen: TlsContents;
  #unreadable = "";
  #material: TlsMaterial;

  constructor(options: TlsOptions) {
    const { clientCertificates, certFile, keyFile, caFile, crlFile } = options;
    if (clientCertificates !== "none" && caFile === undefined) {
      // Without one Node would trust every public authority on earth.
      throw new Error("client certificates need a CA file");
    }
    if (clientCertificates === "none" && (caFile ?? crlFile) !== undefined) {
      throw new Error("a CA or CRL file has no effect unless client certificates are asked for");
    }
    this.#options = options;
    this.#files = { certFile, keyFile, caFile, crlFile };
    this.#now = options.now ?? Date.now;
    // Watched before the first reading, so that a change in between is not missed.
    const files = [certFile, keyFile, caFile, crlFile].filter((file) => file !== undefined);
    this.#watcher = watchFiles(files, () => this.reload(), { pollMs: options.pollMs ?? POLL_MS });
    try {
      this.#seen = readTlsFiles(this.#files);
      this.#material = checkTlsMaterial(this.#seen, this.#now());
    } catch (error) {
      this.#watcher.close();
      throw error;
    }
    this.#announce("TLS certificate loaded");
  }

  acceptor(ready: (socket: TLSSocket) => void): (connection: Socket) => void {
    const acceptor = { ready, server: this.#handshakeServer(this.#material, ready) };
    this.#acceptors.push(acceptor);
    return (connection) => void acceptor.server.emit("connection", connection);
  }

  clientCertificate(call: CertifiedCall): ClientCertificate | undefined {
    const peer = peerOf(call);
    if (peer === undefined) return undefined;
    const certified = this.#byPeer.get(peer);
    if (certified === undefined) throw new Error("a verified certificate that did not come through here");
    if (certified.revoked) throw refusal("CERT_REVOKED");
    if (certified.until <= this.#now()) throw refusal("CERT_HAS_EXPIRED");
    return certified.identity;
  }

  reload(): void {
    let contents: TlsContents;
    try {
      contents = readTlsFiles(this.#files);
      this.#unreadable = "";
    } catch (error) {
      const message = messageOf(error);
      if (message !== this.#unreadable) this.#keep(message);
      this.#unreadable = message;
      return;
    }
    if (sameContents(contents, this.#seen)) return;
    this.#seen = contents;
    try {
      this.#material = checkTlsMaterial(contents, this.#now());
    } catch (error) {
      this.#keep(messageOf(error));
      return;
    }
    for (const acceptor of this.#acceptors) {
      acceptor.server = this.#handshakeServer(this.#material, acceptor.ready);
    }
    this.#announce("TLS certificate reloaded");
    const revoked = [...this.#open].filter((certified) => this.#judge(certified));
    if (revoked.length === 0) return;
    this.#options.report("info", `${revoked.length} open connections lost the trust in their certificates`);
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
  #handshakeServer(material: TlsMaterial, ready: (socket: TLSSocket) => void): Server {
    const server = createServer({
      ...material.context,
      requestCert: this.#options.clientCertificates !== "none",
      // A bad certificate is cut below, where the reason is known; without one, "optional" lets the client in.
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      // Without a listener a reset connection would end the process.
      socket.on("error", () => {});
      const code = socket.alpnProtocol === "h2" ? this.#examine(socket, material.trust) : "NO_HTTP2";
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
    const { clientCertificates } = this.#options;
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) return clientCertificates === "required" ? "CERTIFICATE_REQUIRED" : undefined;
    if (!socket.authorized) return String(socket.authorizationError);
    const accepted = certificateIdentity(leaf);
    if (accepted.kind === "refused") return accepted.fault;

    const certified: Certified = {
      socket,
      leaf,
      path: trust.pathOf(leaf),
      until: accepted.until,
      identity: accepted.principal && {
        principal: accepted.principal,
        isRevoked: () => certified.revoked,
      },
      judgedBy: trust,
      revoked: false,
    };
    // The files may have changed since the handshake began.
    if (this.#judge(certified)) return "CERT_REVOKED";
    // grpc-js asks for it at every call; Node would parse it anew each time.
    const peer = socket.getPeerCertificate();
    socket.getPeerCertificate = (() => peer) as TLSSocket["getPeerCertificate"];
    this.#byPeer.set(peer, certified);
    this.#open.add(certified);
    socket.once("close", () => this.#open.delete(certified));
    return undefined;
  }

  /** Whether the files of today take the trust from a connection that had it. */
  #judge(certified: Certified): boolean {
    const { trust } = this.#material;
    const { leaf, path, judgedBy, socket } = certified;
    if (certified.revoked || judgedBy === trust) return false;
    certified.judgedBy = trust;
    if (!trust.withdraws(leaf, path, judgedBy)) return false;
    certified.revoked = true;
    setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
    return true;
  }

  #announce(what: string): void {
    this.#options.report("info", `${what}: ${this.#material.summary}`);
    for (const warning of this.#material.warnings) this.#options.report("warn", warning);
  }

  #keep(why: string): void {
    this.#options.report("error", `TLS files not usable, the last good set stays in use: ${why}`);
  }
}

/** The certificate as grpc-js has it: the object that `getPeerCertificate` was made to give. */
function peerOf(call: CertifiedCall): PeerCertificate | undefined {
  try {
    return call.getAuthContext().sslPeerCertificate;
  } catch (cause) {
    // Node throws when the connection is closed already.
    throw new SlotsError("CANCELLED", "the connection was closed", { cause });
  }
}

/** The caller learns what is wrong with its own certificate; the code tells of nothing else. */
function refusal(code: string): SlotsError {
  return new SlotsError("UNAUTHENTICATED", "the client certificate is not valid any more", {
    metadata: { certificate: code },
  });
}

function sameContents(left: TlsContents, right: TlsContents): boolean {
  return (
    left.cert.equals(right.cert) &&
    left.key.equals(right.key) &&
    sameBytes(left.ca, right.ca) &&
    sameBytes(left.crl, right.crl)
  );
}

function sameBytes(left: Buffer | undefined, right: Buffer | undefined): boolean {
  return left === undefined || right === undefined ? left === right : left.equals(right);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
