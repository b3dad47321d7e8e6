import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Rpc } from "../../core/required-action.ts";
import { type AbortableCall, callerGone } from "../server-call.ts";
import type { GrpcStatus } from "../status.ts";
import type { CertifiedCall } from "../tls/tls.ts";

/** What all calls of a connection share. */
export class DirectConnection {
  readonly peer: string;
  readonly certified: CertifiedCall;

  constructor(socket: Socket) {
    const { remoteAddress, remotePort } = socket;
    // In grpc-js's words, so that a peer is one peer whoever answers it.
    this.peer = remoteAddress === undefined ? "unknown" : `${remoteAddress}:${remotePort}`;
    this.certified = {
      getAuthContext: () =>
        socket instanceof TLSSocket && socket.authorized
          ? { transportSecurityType: "ssl", sslPeerCertificate: socket.getPeerCertificate() }
          : {},
    };
  }
}

export const RESPONSE = { ":status": 200, "content-type": "application/grpc+proto" } as const;
export const OK = { "grpc-status": "0" } as const;
export const WITH_TRAILERS = { waitForTrailers: true } as const;
const NO_CHUNKS: Buffer[] = [];
const NOTHING: readonly string[] = [];

const CALL = Symbol("direct call");
type CallStream = ServerHttp2Stream & { [CALL]: DirectCall };

/** A unary call on its HTTP/2 stream: one message in, one message or a status out. */
export class DirectCall implements AbortableCall {
  readonly rpc: Rpc;
  authorization: readonly string[];
  readonly since = performance.now();
  leave: (() => void) | undefined = undefined;
  /** All bytes of the request, its frame's prefix included; set once its sender ended it, until it is decoded. */
  request: Buffer | undefined = undefined;
  readonly #connection: DirectConnection;
  protected readonly stream: ServerHttp2Stream;
  readonly #events: DirectCallEvents;
  /** By `performance.now`. */
  readonly #deadline: number;
  #chunks = NO_CHUNKS;
  #length = 0;
  #ended = false;
  #controller: AbortController | undefined = undefined;

  constructor(
    rpc: Rpc,
    connection: DirectConnection,
    stream: ServerHttp2Stream,
    authorization: string | undefined,
    timeoutMs: number,
    events: DirectCallEvents,
  ) {
    this.rpc = rpc;
    this.authorization = authorization === undefined ? NOTHING : [authorization];
    this.#connection = connection;
    this.stream = stream;
    this.#events = events;
    this.#deadline = this.since + timeoutMs;
    (stream as CallStream)[CALL] = this;
    stream.on("error", ignore);
    stream.on("data", onData);
    stream.on("end", onEnd);
  }

  forgetCredentials(): void {
    this.authorization = NOTHING;
  }

  get peer(): string {
    return this.#connection.peer;
  }

  get certified(): CertifiedCall {
    return this.#connection.certified;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.isGone) controller.abort(callerGone());
      else this.stream.once("close", () => controller.abort(callerGone()));
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    if (!this.signal.aborted) this.#controller?.abort(reason);
  }

  /** The caller gave up, or its connection is gone. */
  get isGone(): boolean {
    return this.stream.destroyed || this.stream.closed;
  }

  get isLate(): boolean {
    return performance.now() >= this.#deadline;
  }

  /** Calls back at the deadline, when the request has still not come. */
  watchDeadline(passed: (call: DirectCall) => void): void {
    const timer = setTimeout(() => passed(this), Math.max(0, this.#deadline - performance.now()));
    this.stream.once("close", () => clearTimeout(timer));
  }

  /** `frame`: the message behind its prefix. */
  answer(frame: Uint8Array): void {
    if (!this.isLast()) return;
    this.stream.respond(RESPONSE, WITH_TRAILERS);
    this.stream.on("wantTrailers", sendOk);
    this.stream.end(frame);
  }

  fail(status: GrpcStatus): void {
    if (!this.isLast()) return;
    this.stream.respond({ ...RESPONSE, ...statusHeaders(status) }, { endStream: true });
  }

  /** What comes after the end is read and forgotten, so that its sender is not held up. */
  data(chunk: Buffer): void {
    if (this.#ended) return;
    this.#length += chunk.length;
    if (this.#chunks === NO_CHUNKS) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    if (this.#length > this.#events.maxRequestBytes) this.#events.tooLong(this, this.#length);
  }

  complete(): void {
    if (this.#ended) return;
    const [first] = this.#chunks;
    this.request = first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#chunks = NO_CHUNKS;
    this.#events.arrived(this);
  }

  /** False when an answer has no one to go to. */
  protected isLast(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#chunks = NO_CHUNKS;
    return !this.isGone;
  }
}

export function statusHeaders({ code, details, metadata }: GrpcStatus) {
  return { "grpc-status": code, "grpc-message": encodeURI(details), ...metadata.toHttp2Headers() };
}

export interface DirectCallEvents {
  readonly maxRequestBytes: number;
  /** The request is here. */
  arrived(call: DirectCall): void;
  tooLong(call: DirectCall, bytes: number): void;
}

// One function for all calls: three closures for each would cost as much as the answer.
function onData(this: ServerHttp2Stream, chunk: Buffer): void {
  (this as CallStream)[CALL].data(chunk);
}
function onEnd(this: ServerHttp2Stream): void {
  (this as CallStream)[CALL].complete();
}
function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers(OK);
}
/** An error closes the stream, and there is nobody left to tell; without a listener it would end the process (S6). */
function ignore(): void {}
