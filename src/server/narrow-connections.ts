import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";

/** Node's own word of each HTTP/2 stream that begins. Early releases of Node 22 give none: there nothing is narrowed. */
const STREAMS = "http2.server.stream.created";
/** Calls at once on a narrowed connection. */
const NARROW = 10;
/** Connections that are to be narrowed at their next call; who makes none for a while is forgotten, and so are too many. */
const MOST_MARKED = 1_000;
const MARKED_MS = 10_000;

export interface NarrowConnectionsOptions {
  /** Calls at once on a connection that is not narrowed. */
  readonly wide: number;
}

/**
 * Lets connections that bring nothing but wrong proofs have few calls at once, by HTTP/2's own setting for it: who
 * floods has to hold its calls back itself, so that they cost us neither memory nor, all together, a long turn. The
 * first good proof on a connection makes it wide again for good; a proxy may share one among many callers.
 *
 * Peers are named as grpc-js's `getPeer` names them.
 */
export class NarrowConnections {
  readonly #options: NarrowConnectionsOptions;
  readonly #marked = new Set<string>();
  readonly #narrowed = new Map<string, ServerHttp2Session>();
  readonly #proved = new Set<string>();
  #forgetting: NodeJS.Timeout | undefined;

  constructor(options: NarrowConnectionsOptions) {
    this.#options = options;
  }

  /** A proof was wrong, and there were too many from its address before. */
  failed(peer: string): void {
    if (this.#marked.has(peer) || this.#narrowed.has(peer) || this.#proved.has(peer)) return;
    // All connections of a Unix socket are one peer, and only its owner reaches it.
    if (peer === "unknown") return;
    if (this.#marked.size >= MOST_MARKED) this.#forget();
    if (this.#marked.size === 0) {
      // Only now: every call on every connection pays for it.
      subscribe(STREAMS, this.#onStream);
      this.#forgetting = setTimeout(() => this.#forget(), MARKED_MS).unref();
    }
    this.#marked.add(peer);
  }

  /** A proof was good. */
  proved(peer: string): void {
    if (this.#narrowed.size === 0) return;
    const session = this.#narrowed.get(peer);
    if (session === undefined) return;
    this.#narrowed.delete(peer);
    this.#proved.add(peer);
    allow(session, this.#options.wide);
  }

  close(): void {
    this.#forget();
  }

  readonly #onStream = (message: unknown): void => {
    const { session } = (message as { readonly stream: ServerHttp2Stream }).stream;
    const peer = `${session?.socket.remoteAddress}:${session?.socket.remotePort}`;
    if (session === undefined || !this.#marked.delete(peer)) return;
    if (this.#marked.size === 0) this.#forget();
    this.#narrowed.set(peer, session as ServerHttp2Session);
    session.once("close", () => {
      this.#narrowed.delete(peer);
      this.#proved.delete(peer);
    });
    allow(session as ServerHttp2Session, Math.min(NARROW, this.#options.wide));
  };

  #forget(): void {
    clearTimeout(this.#forgetting);
    this.#marked.clear();
    unsubscribe(STREAMS, this.#onStream);
  }
}

function allow(session: ServerHttp2Session, maxConcurrentStreams: number): void {
  if (!session.closed && !session.destroyed) session.settings({ maxConcurrentStreams });
}
