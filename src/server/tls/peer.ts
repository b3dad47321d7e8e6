import { X509Certificate } from "node:crypto";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { SlotsError } from "../../domain/errors.ts";

/** A call as grpc-js hands it to a handler. */
export type PeerCall = ServerUnaryCall<never, never> | ServerWritableStream<never, never>;

/** What the other end of a connection showed of itself in the TLS handshake. */
export type Peer =
  | { readonly kind: "anonymous" }
  /** The leaf, then its issuers up to the root. */
  | { readonly kind: "verified"; readonly chain: readonly X509Certificate[] }
  /** OpenSSL's code, such as `CERT_REVOKED`. */
  | { readonly kind: "unverified"; readonly code: string };

/**
 * The connection that a call came in on.
 *
 * grpc-js has `getAuthContext()`, but that parses the certificate anew for every call, and gives the same empty
 * answer for no certificate and for a bad one, which must be refused. So this reads two private fields, `call` and
 * `stream` (and `nextCall` where interceptors are in between). grpc-js is pinned to an exact version, the tests go
 * through here, and a shape that is not as expected throws: it never passes for an anonymous caller.
 */
export function sessionOf(call: PeerCall): ServerHttp2Session {
  let inner = (call as unknown as { call?: InterceptingCall }).call;
  while (inner?.nextCall !== undefined) inner = inner.nextCall;
  const stream = inner?.stream;
  if (stream === undefined) throw new Error("grpc-js no longer keeps a call's stream where it was");
  const session = stream.session;
  if (session === undefined || session.destroyed) throw gone();
  return session as ServerHttp2Session;
}

interface InterceptingCall {
  readonly nextCall?: InterceptingCall;
  readonly stream?: ServerHttp2Stream;
}

/** Costs about 100 µs, so ask once for a connection. */
export function peerOf(session: ServerHttp2Session): Peer {
  if (!session.encrypted) return { kind: "anonymous" };
  const socket = session.socket as TLSSocket;
  const leaf = socket.getPeerCertificate(true);
  // Node gives an object without fields when there is none, and null once the socket is destroyed.
  if (socket.destroyed) throw gone();
  if (leaf?.raw === undefined) return { kind: "anonymous" };
  if (!socket.authorized) return { kind: "unverified", code: String(socket.authorizationError) };
  return { kind: "verified", chain: chainOf(leaf) };
}

/** Node makes a root its own issuer. */
function chainOf(leaf: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let last: DetailedPeerCertificate | undefined;
  for (
    let at: DetailedPeerCertificate | undefined = leaf;
    at !== undefined && at !== last;
    at = at.issuerCertificate
  ) {
    chain.push(new X509Certificate(at.raw));
    last = at;
  }
  return chain;
}

function gone(): SlotsError {
  return new SlotsError("CANCELLED", "the connection was closed");
}
