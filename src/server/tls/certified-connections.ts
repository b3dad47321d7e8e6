import type { X509Certificate } from "node:crypto";
import type { PeerCertificate, TLSSocket } from "node:tls";
import type { ServerUnaryCall } from "@grpc/grpc-js";
import type { Principal } from "../../domain/access.ts";
import { SlotsError } from "../../domain/errors.ts";
import { certificateIdentity } from "../identity/certificate.ts";
import type { Trust } from "./trust.ts";

/** Who a connection's certificate stands for, and whether it still does. */
export interface ClientCertificate {
  readonly principal: Principal;
  readonly isRevoked: () => boolean;
}

/** What is asked of a grpc-js call, unary or stream. */
export type CertifiedCall = Pick<ServerUnaryCall<unknown, unknown>, "getAuthContext">;

interface Certified {
  readonly socket: TLSSocket;
  readonly leaf: X509Certificate;
  /** The authorities above it that were known at the handshake. */
  readonly path: readonly X509Certificate[];
  readonly until: number;
  /** Undefined when the certificate names nobody. */
  readonly identity: ClientCertificate | undefined;
  /** The reading of the files that it was judged by last. */
  judgedBy: Trust;
  revoked: boolean;
}

/** Time for a revoked connection's streams to end with their status before it is cut; no new call gets in. */
const FAREWELL_MS = 5_000;

/** The open connections whose clients showed a certificate that was good at the handshake. */
export class CertifiedConnections {
  readonly #now: () => number;
  readonly #open = new Set<Certified>();
  /** By what grpc-js is told of the peer. */
  readonly #byPeer = new WeakMap<PeerCertificate, Certified>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Takes in a connection with a certificate. `trust` is what the handshake was made under, `today` what the files
   * say now. Gives why it must be refused, undefined when it is welcome.
   */
  admit(socket: TLSSocket, leaf: X509Certificate, trust: Trust, today: Trust): string | undefined {
    if (!socket.authorized) return String(socket.authorizationError);
    const accepted = certificateIdentity(leaf);
    if (accepted.kind === "refused") return accepted.fault;
    const path = trust.pathOf(leaf);
    // The files may have changed since the handshake began. Asked in any case: a name that can't be read must come
    // to light here, where it costs one connection, and not at a reload.
    if (today.withdraws(leaf, path, trust)) return "CERT_REVOKED";
    const certified: Certified = {
      socket,
      leaf,
      path,
      until: accepted.until,
      identity: accepted.principal && {
        principal: accepted.principal,
        isRevoked: () => certified.revoked,
      },
      judgedBy: today,
      revoked: false,
    };
    // grpc-js asks for it at every call; Node would parse it anew each time.
    const peer = socket.getPeerCertificate();
    socket.getPeerCertificate = (() => peer) as TLSSocket["getPeerCertificate"];
    this.#byPeer.set(peer, certified);
    this.#open.add(certified);
    socket.once("close", () => this.#open.delete(certified));
    return undefined;
  }

  /** Judges all anew; gives how many lost their trust by it. */
  judgeAll(today: Trust): number {
    let lost = 0;
    for (const certified of this.#open) {
      if (!judge(certified, today)) continue;
      lost++;
      setTimeout(() => certified.socket.destroy(), FAREWELL_MS).unref();
    }
    return lost;
  }

  /** See `Tls.clientCertificate`. */
  of(call: CertifiedCall): ClientCertificate | undefined {
    const peer = peerOf(call);
    if (peer === undefined) return undefined;
    const certified = this.#byPeer.get(peer);
    if (certified === undefined) throw new Error("a verified certificate that did not come through here");
    if (certified.revoked) throw refusal("CERT_REVOKED");
    if (certified.until <= this.#now()) throw refusal("CERT_HAS_EXPIRED");
    return certified.identity;
  }
}

/** Whether the files of today take the trust from a connection that had it. */
function judge(certified: Certified, today: Trust): boolean {
  const { leaf, path, judgedBy, revoked } = certified;
  if (revoked || judgedBy === today) return false;
  certified.judgedBy = today;
  certified.revoked = today.withdraws(leaf, path, judgedBy);
  return certified.revoked;
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
