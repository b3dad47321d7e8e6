import { constants, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Alarm, Alarms } from "../../core/alarms.ts";
import type { Rpc } from "../../core/required-action.ts";
import { type AbortableCall, callerGone } from "../server-call.ts";
import type { GrpcStatus } from "../status.ts";
import type { CertifiedCall } from "../tls/tls.ts";
import type { UnfinishedRequest, UnfinishedRequests } from "../unfinished-requests.ts";
import { GatheredBytes } from "./gathered-bytes.ts";

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
/** How long an answer may wait for its caller to take it, as a watch's message may at most by default (W13). */
const LINGER_MS = 30_000;

const CALL = Symbol("direct call");
type CallStream = ServerHttp2Stream & { [CALL]: DirectCall };

/** A unary call on its HTTP/2 stream: one message in, one message or a status out. */
export class DirectCall implements AbortableCall, UnfinishedRequest, Alarm {
  readonly rpc: Rpc;
  authorization: readonly string[];
  readonly since = performance.now();
  leave: (() => void) | undefined = undefined;
  at = Number.POSITIVE_INFINITY;
  tick: number | undefined = undefined;
  /** All bytes of the request, its frame's prefix included; set once its sender ended it, until it is decoded. */
  request: Buffer | undefined = undefined;
  readonly connection: DirectConnection;
  protected readonly stream: ServerHttp2Stream;
  readonly #events: DirectCallEvents;
  /** By `performance.now`. */
  readonly #deadline: number;
  #chunks = NO_CHUNKS;
  #length = 0;
  #gathered: GatheredBytes | undefined = undefined;
  #unfinished: UnfinishedRequests | undefined = undefined;
  #isComplete = false;
  #ended = false;
  #keepsDeadline = false;
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
    this.connection = connection;
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
    return this.connection.peer;
  }

  get certified(): CertifiedCall {
    return this.connection.certified;
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

  /** Its sender has ended the request. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Nothing is left to be sent. */
  get isSent(): boolean {
    return this.stream.writableFinished || this.isGone;
  }

  /** Tells of the deadline when it passes before the call has ended. */
  keepDeadline(): void {
    if (this.#keepsDeadline || this.#deadline === Number.POSITIVE_INFINITY) return;
    this.#keepsDeadline = true;
    const timer = setTimeout(() => this.#events.late(this), Math.max(0, this.#deadline - performance.now()));
    this.stream.once("close", () => clearTimeout(timer));
  }

  /** The request takes more than one turn to come: from now on its memory is counted. */
  gather(unfinished: UnfinishedRequests): void {
    if (this.#ended) return;
    this.#unfinished = unfinished;
    this.#gathered = new GatheredBytes(this.#chunks);
    this.#chunks = NO_CHUNKS;
    this.stream.once("close", () => unfinished.release(this));
    unfinished.hold(this, this.#gathered.size);
  }

  refuse(): void {
    this.#events.tooMany(this);
  }

  /** Lets the stream go if what was written to it is not taken in time: nothing else would, while the peer answers pings. */
  linger(alarms: Alarms): void {
    alarms.set(this, LINGER_MS);
    this.stream.once("close", () => alarms.remove(this));
  }

  due(): void {
    this.stream.close(constants.NGHTTP2_CANCEL);
  }

  /** `frame`: the message behind its prefix. */
  answer(frame: Uint8Array): void {
    if (!this.isLast()) return;
    this.stream.respond(RESPONSE, WITH_TRAILERS);
    this.stream.on("wantTrailers", sendOk);
    this.stream.end(frame);
    this.mayLinger();
  }

  fail(status: GrpcStatus): void {
    if (!this.isLast()) return;
    this.stream.respond({ ...RESPONSE, ...statusHeaders(status) }, { endStream: true });
    // Who is refused before the end of its request is told that the rest is not wanted.
    if (!this.#isComplete) this.stream.close(constants.NGHTTP2_NO_ERROR);
  }

  /** What comes after the end is read and forgotten, so that its sender is not held up. */
  data(chunk: Buffer): void {
    if (this.#ended) return;
    this.#length += chunk.length;
    if (this.#length > this.#events.maxRequestBytes) {
      this.#events.tooLong(this, this.#length);
    } else if (this.#gathered !== undefined) {
      this.#gathered.append(chunk);
      this.#unfinished?.hold(this, this.#gathered.size);
    } else if (this.#chunks === NO_CHUNKS) {
      this.#chunks = [chunk];
    } else {
      this.#chunks.push(chunk);
    }
  }

  complete(): void {
    this.#isComplete = true;
    if (this.#ended) return;
    const [first] = this.#chunks;
    if (this.#gathered !== undefined) this.request = this.#gathered.bytes();
    else
      this.request = first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#forgetRequest();
    this.#events.arrived(this);
  }

  /** False when an answer has no one to go to. */
  protected isLast(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#forgetRequest();
    return !this.isGone;
  }

  /** Call when the answer may have to wait for its caller. */
  protected mayLinger(): void {
    this.#events.answered(this);
  }

  #forgetRequest(): void {
    this.#chunks = NO_CHUNKS;
    this.#gathered = undefined;
    this.#unfinished?.release(this);
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
  /** There are too many unfinished requests, and this is the oldest. */
  tooMany(call: DirectCall): void;
  /** Its deadline has passed. */
  late(call: DirectCall): void;
  /** All of its answer is written, and some of it may be left to be taken. */
  answered(call: DirectCall): void;
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
