import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { FLAG, FRAME, frame, headerBlock, PREFACE } from "../support/raw-http2.ts";
import { statusOf } from "./hpack-status.ts";

/** How a call ended: its gRPC status, or that it was let go: at its first message, or because it told nothing. */
export type Ending = number | "message" | "silence";

interface Running {
  readonly done: (ending: Ending) => void;
  readonly failed: (problem: string) => void;
  /** Until when it may say nothing; milliseconds of `performance.now()`. */
  readonly patience: number;
  readonly onSilence: "cancel" | "fail";
  readonly cancelAtMessage: boolean;
  /** What of the request the other side has no room for yet. */
  unsent: Buffer;
  window: number;
}

/** How a call of one kind is begun and when it is let go. */
export interface CallKind {
  /** Made by `callHeaders`. */
  readonly headers: Buffer;
  /** Let a stream go at its first message. */
  readonly cancelAtMessage: boolean;
  /** Let it go when it has said nothing for so long; undefined: it is late after 60 s. */
  readonly silenceMs: number | undefined;
}

export function callHeaders(path: string, token: string | undefined): Buffer {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  });
}

const LATE_MS = 60_000;
const MOST_DATA = 16_384;
const WINDOW = 65_535;
const LARGE_WINDOW = 2 ** 31 - 1;
const FRAME_HEAD = 9;
const MESSAGE_HEAD = 5;
const NONE = Buffer.alloc(0);
const RST_CANCEL = Buffer.from([0, 0, 0, 8]);
/** Node ends a connection that resets more than 1,000 streams at once. */
const MOST_RESETS = 500;
/** The frames that `FRAME` has no need to name, for nobody sends them on purpose. */
const GOAWAY = 7;

/**
 * gRPC calls over one plain HTTP/2 connection, without a library: what is sent is bytes that were made before, and
 * of an answer no more is read than its status. That leaves the processor to the server.
 */
export class FastCalls {
  readonly #socket: Socket;
  readonly #running = new Map<number, Running>();
  readonly #blocked = new Set<number>();
  #out: Buffer[] = [];
  #flushing = false;
  #rest: Buffer = NONE;
  #nextStream = 1;
  #resets = 0;
  #window = WINDOW;
  #streamWindow = WINDOW;
  #unacknowledged = 0;
  /** A block of headers that goes on in CONTINUATION frames. */
  #block: { readonly flags: number; parts: Buffer[] } | undefined;
  #closed = false;
  readonly #sweeper: NodeJS.Timeout;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => {});
    socket.once("close", () => this.#end("the connection was closed"));
    this.#sweeper = setInterval(() => this.#sweep(), 10);
  }

  static async open(address: string): Promise<FastCalls> {
    const colon = address.lastIndexOf(":");
    const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon));
    await once(socket, "connect");
    socket.setNoDelay(true);
    const calls = new FastCalls(socket);
    // No table of headers, windows that never fill.
    const settings = Buffer.from([0, 1, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
    const update = Buffer.alloc(4);
    update.writeUInt32BE(LARGE_WINDOW - WINDOW);
    calls.#send(Buffer.from(PREFACE));
    calls.#send(frame(FRAME.settings, 0, 0, settings));
    calls.#send(frame(FRAME.windowUpdate, 0, 0, update));
    return calls;
  }

  /** Whether it may still begin calls; one that reset many streams may not. */
  get usable(): boolean {
    return !this.#closed && this.#resets < MOST_RESETS;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Resolves with how the call ended; rejects with what went against the protocol, or that it is late. */
  call(kind: CallKind, payload: Buffer): Promise<Ending> {
    return new Promise((done, reject) => {
      const failed = (problem: string) => reject(new Error(problem));
      if (this.#closed) {
        failed("the connection is closed");
        return;
      }
      const stream = this.#nextStream;
      this.#nextStream += 2;
      const { headers, cancelAtMessage, silenceMs } = kind;
      this.#running.set(stream, {
        done,
        failed,
        patience: performance.now() + (silenceMs ?? LATE_MS),
        onSilence: silenceMs === undefined ? "fail" : "cancel",
        cancelAtMessage,
        unsent: NONE,
        window: this.#streamWindow,
      });
      const length = MESSAGE_HEAD + payload.length;
      if (length > MOST_DATA || length > this.#window || length > this.#streamWindow) {
        this.#send(frame(FRAME.headers, FLAG.endHeaders, stream, headers));
        const message = Buffer.alloc(length);
        message.writeUInt32BE(payload.length, 1);
        payload.copy(message, MESSAGE_HEAD);
        this.#running.get(stream)!.unsent = message;
        this.#blocked.add(stream);
        this.#pump();
        return;
      }
      this.#window -= length;
      const bytes = Buffer.allocUnsafe(2 * FRAME_HEAD + headers.length + length);
      writeHead(bytes, 0, headers.length, FRAME.headers, FLAG.endHeaders, stream);
      headers.copy(bytes, FRAME_HEAD);
      const data = FRAME_HEAD + headers.length;
      writeHead(bytes, data, length, FRAME.data, FLAG.endStream, stream);
      bytes[data + FRAME_HEAD] = 0;
      bytes.writeUInt32BE(payload.length, data + FRAME_HEAD + 1);
      payload.copy(bytes, data + FRAME_HEAD + MESSAGE_HEAD);
      this.#send(bytes);
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#end("the connection was closed by its caller");
  }

  /** Sends what there is room for of what waits. */
  #pump(): void {
    for (const stream of this.#blocked) {
      const call = this.#running.get(stream);
      if (call === undefined) {
        this.#blocked.delete(stream);
        continue;
      }
      while (call.unsent.length > 0) {
        const room = Math.min(MOST_DATA, this.#window, call.window);
        if (room <= 0) break;
        const part = call.unsent.subarray(0, room);
        call.unsent = call.unsent.subarray(room);
        this.#window -= part.length;
        call.window -= part.length;
        this.#send(frame(FRAME.data, call.unsent.length === 0 ? FLAG.endStream : 0, stream, part));
      }
      if (call.unsent.length === 0) this.#blocked.delete(stream);
    }
  }

  /** Everything that is sent in one turn leaves in one packet. */
  #send(bytes: Buffer): void {
    this.#out.push(bytes);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      const out = this.#out;
      this.#out = [];
      if (!this.#closed) this.#socket.write(out.length === 1 ? out[0]! : Buffer.concat(out));
    });
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= FRAME_HEAD) {
      const length = bytes.readUIntBE(0, 3);
      if (bytes.length < FRAME_HEAD + length) break;
      const stream = bytes.readUInt32BE(5) & 0x7fffffff;
      this.#frame(bytes[3]!, bytes[4]!, stream, bytes.subarray(FRAME_HEAD, FRAME_HEAD + length));
      bytes = bytes.subarray(FRAME_HEAD + length);
    }
    this.#rest = bytes;
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case FRAME.data:
        this.#data(stream, payload.length);
        break;
      case FRAME.headers:
      case FRAME.continuation: {
        const block = type === FRAME.headers ? { flags, parts: [payload] } : this.#block;
        if (block === undefined) {
          this.#broken("a CONTINUATION without a beginning");
          return;
        }
        if (type === FRAME.continuation) block.parts.push(payload);
        this.#block = (flags & FLAG.endHeaders) === 0 ? block : undefined;
        if (this.#block !== undefined || (block.flags & FLAG.endStream) === 0) return;
        const status = statusOf(block.parts.length === 1 ? payload : Buffer.concat(block.parts));
        this.#finish(stream, status ?? "the call ended without a status");
        break;
      }
      case FRAME.rst:
        this.#finish(stream, `the call was reset with code ${payload.readUInt32BE(0)}`);
        break;
      case FRAME.settings:
        if ((flags & FLAG.ack) === 0) this.#settings(payload);
        break;
      case FRAME.ping:
        if ((flags & FLAG.ack) === 0) this.#send(frame(FRAME.ping, FLAG.ack, 0, payload));
        break;
      case FRAME.windowUpdate: {
        const more = payload.readUInt32BE(0);
        const call = this.#running.get(stream);
        if (stream === 0) this.#window += more;
        else if (call !== undefined) call.window += more;
        this.#pump();
        break;
      }
      case GOAWAY:
        this.#broken(`the server ended the connection with code ${payload.readUInt32BE(4)}`);
        break;
      default:
    }
  }

  #settings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== 4) continue;
      const size = payload.readUInt32BE(at + 2);
      for (const call of this.#running.values()) call.window += size - this.#streamWindow;
      this.#streamWindow = size;
    }
    this.#send(frame(FRAME.settings, FLAG.ack, 0));
    this.#pump();
  }

  #data(stream: number, length: number): void {
    this.#unacknowledged += length;
    if (this.#unacknowledged > 1 << 24) {
      const update = Buffer.alloc(4);
      update.writeUInt32BE(this.#unacknowledged);
      this.#unacknowledged = 0;
      this.#send(frame(FRAME.windowUpdate, 0, 0, update));
    }
    if (length > 0 && this.#running.get(stream)?.cancelAtMessage === true) this.#cancel(stream, "message");
  }

  #cancel(stream: number, why: Ending): void {
    this.#resets += 1;
    this.#send(frame(FRAME.rst, 0, stream, RST_CANCEL));
    this.#finish(stream, why);
  }

  #finish(stream: number, how: Ending | (string & {})): void {
    const call = this.#running.get(stream);
    if (call === undefined) return;
    this.#running.delete(stream);
    this.#blocked.delete(stream);
    if (how === "message" || how === "silence" || typeof how === "number") call.done(how as Ending);
    else call.failed(how);
  }

  #sweep(): void {
    const now = performance.now();
    for (const [stream, call] of this.#running) {
      // Streams are begun in order, but patience differs from kind to kind.
      if (call.patience > now) continue;
      if (call.onSilence === "cancel") this.#cancel(stream, "silence");
      else this.#finish(stream, `no answer within ${LATE_MS} ms`);
    }
  }

  #broken(problem: string): void {
    this.#end(problem);
    this.#socket.destroy();
  }

  #end(problem: string): void {
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const stream of [...this.#running.keys()]) this.#finish(stream, problem);
  }
}

function writeHead(
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes.writeUIntBE(length, at, 3);
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes.writeUInt32BE(stream, at + 5);
}
