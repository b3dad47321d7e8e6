import type { X509Certificate } from "node:crypto";
import type { SecureServerOptions } from "node:http2";
import { ServerCredentials } from "@grpc/grpc-js";
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
import { type Peer, type PeerCall, peerOf, sessionOf } from "./peer.ts";

export interface TlsOptions extends TlsFiles {
  /** Whether a client may or must show a certificate; both need `caFile`. */
  readonly clientCertificates: "none" | "optional" | "required";
  /** One line for the operator's log. It names files, serial numbers and dates only. */
  readonly report: (level: "info" | "warn" | "error", message: string) => void;
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

export interface TlsCredentials {
  /** For `Server.bindAsync` or `Server.createConnectionInjector`. */
  readonly credentials: ServerCredentials;
  /**
   * The identity that the certificate of a call's connection proves; undefined when it showed none, or one that
   * names nobody. Throws UNAUTHENTICATED for a certificate that is not valid (any more): a call that comes with a
   * bad proof is refused even when it has another one.
   */
  clientCertificate(call: PeerCall): ClientCertificate | undefined;
  /** Reads the files now, as on a change. Never throws: what is wrong is reported, the last good set stays. */
  reload(): void;
  /** Calls back after a reload that may have taken certificates their trust; returns the way to stop. */
  onRevocation(callback: () => void): () => void;
  /** Stops watching. Connections and listeners live on. */
  close(): void;
}

const POLL_MS = 5_000;
/** Node's 120 s would let a stranger keep half-open connections for two minutes each. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Throws when the files can't be used: a server must not start without the protection it was told to have. */
export function createTlsCredentials(options: TlsOptions): TlsCredentials {
  return new ReloadingTls(options);
}

/** What is known of a connection from its first call on. */
type Connection =
  | { readonly kind: "anonymous" }
  | { readonly kind: "refused"; readonly code: string }
  | {
      readonly kind: "certified";
      readonly isRevoked: () => boolean;
      /** A connection may outlive its certificate. Unix milliseconds. */
      readonly until: number;
      /** Undefined when the certificate names nobody. */
      readonly certificate: ClientCertificate | undefined;
    };

class ReloadingTls implements TlsCredentials {
  readonly credentials: ReloadingServerCredentials;
  readonly #options: TlsOptions;
  readonly #files: TlsFiles;
  readonly #now: () => number;
  readonly #watcher: { close(): void };
  readonly #listeners = new Set<() => void>();
  /** What was read last, good or bad: a bad set is reported once, not at every poll. */
  #seen: TlsContents | undefined;
  #unreadable = "";
  #material: TlsMaterial;
  readonly #connections = new WeakMap<object, Connection>();

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
    this.credentials = new ReloadingServerCredentials(
      {
        requestCert: clientCertificates !== "none",
        // When optional, Node lets a bad certificate through to `clientCertificate`, which refuses it.
        rejectUnauthorized: clientCertificates === "required",
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      },
      this.#material,
    );
    this.#announce("TLS certificate loaded");
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
    if (this.#seen !== undefined && sameContents(contents, this.#seen)) return;
    this.#seen = contents;
    try {
      this.#material = checkTlsMaterial(contents, this.#now());
    } catch (error) {
      this.#keep(messageOf(error));
      return;
    }
    // Open connections keep the context that they were made with.
    this.credentials.use(this.#material);
    this.#announce("TLS certificate reloaded");
    for (const listener of this.#listeners) listener();
  }

  clientCertificate(call: PeerCall): ClientCertificate | undefined {
    const session = sessionOf(call);
    let connection = this.#connections.get(session);
    if (connection === undefined) {
      connection = this.#examine(peerOf(session));
      this.#connections.set(session, connection);
    }
    switch (connection.kind) {
      case "anonymous":
        return undefined;
      case "refused":
        throw refused(connection.code);
      case "certified":
        if (connection.isRevoked()) throw refused("CERT_REVOKED");
        if (connection.until <= this.#now()) throw refused("CERT_HAS_EXPIRED");
        return connection.certificate;
      default:
        return connection satisfies never;
    }
  }

  onRevocation(callback: () => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  close(): void {
    this.#watcher.close();
    this.#listeners.clear();
  }

  #examine(peer: Peer): Connection {
    if (peer.kind === "anonymous") return peer;
    if (peer.kind === "unverified") return { kind: "refused", code: peer.code };
    const identity = certificateIdentity(peer.chain);
    if (identity.kind === "refused") return { kind: "refused", code: identity.fault };
    const isRevoked = this.#revocationOf(peer.chain);
    return {
      kind: "certified",
      isRevoked,
      until: identity.until,
      certificate: identity.principal && { principal: identity.principal, isRevoked },
    };
  }

  /** Judged once for each set of files, since every call of the connection asks. */
  #revocationOf(chain: readonly X509Certificate[]): () => boolean {
    let judged: TlsMaterial | undefined;
    let revoked = false;
    return () => {
      if (judged !== this.#material) {
        judged = this.#material;
        revoked = !judged.trust.accepts(chain);
      }
      return revoked;
    };
  }

  #announce(what: string): void {
    this.#options.report("info", `${what}: ${this.#material.summary}`);
    for (const warning of this.#material.warnings) this.#options.report("warn", warning);
  }

  #keep(why: string): void {
    this.#options.report("error", `TLS files not usable, the last good set stays in use: ${why}`);
  }
}

/**
 * grpc-js asks its credentials for the options of each listener, and passes on every later set through a watcher
 * (`ServerCredentials` in grpc-js 1.14); the subclass gives it the checked ones only.
 */
class ReloadingServerCredentials extends ServerCredentials {
  constructor(server: SecureServerOptions, material: TlsMaterial) {
    super(server, material.context);
  }

  use(material: TlsMaterial): void {
    this.updateSecureContextOptions(material.context);
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** The caller learns what is wrong with its own certificate; the code names no other thing. */
function refused(code: string): SlotsError {
  return new SlotsError("UNAUTHENTICATED", "the client certificate is not valid", {
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
