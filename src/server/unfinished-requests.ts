import { constants, type ServerHttp2Stream } from "node:http2";

/** What another's stream may have brought before it is followed: its first flow-control window. */
const FIRST_WINDOW_BYTES = 65_535;
/** What a piece costs in memory beside its bytes. */
const PIECE_BYTES = 256;

/** A request that has not come whole. */
export interface UnfinishedRequest {
  /** Ends it with RESOURCE_EXHAUSTED. */
  refuse(): void;
}

/**
 * The memory for requests that have not come whole, over all connections. Whoever sends them is not known yet, and may
 * never mean to finish: so it has a bound, and past it the oldest is refused. Who sends a request in one go, as every
 * gRPC library does, is never among them (S6).
 */
export class UnfinishedRequests {
  readonly #maxBytes: number;
  /** Oldest first: a request that grows keeps its place. */
  readonly #held = new Map<UnfinishedRequest, number>();
  #total = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** `bytes`: all that it takes up now. */
  hold(request: UnfinishedRequest, bytes: number): void {
    this.#total += bytes - (this.#held.get(request) ?? 0);
    this.#held.set(request, bytes);
    for (const oldest of this.#held.keys()) {
      if (this.#total <= this.#maxBytes) return;
      this.release(oldest);
      oldest.refuse();
    }
  }

  /** It is whole, or will never be. */
  release(request: UnfinishedRequest): void {
    this.#total -= this.#held.get(request) ?? 0;
    this.#held.delete(request);
  }

  /** Holds for what a stream brings that somebody else reads. */
  follow(stream: ServerHttp2Stream): void {
    let bytes = FIRST_WINDOW_BYTES;
    const request = {
      refuse: () => {
        end();
        // Clients take this code for RESOURCE_EXHAUSTED.
        stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      },
    };
    const count = (chunk: Buffer) => {
      bytes += chunk.length + PIECE_BYTES;
      this.hold(request, bytes);
    };
    const end = () => {
      stream.off("data", count);
      this.release(request);
    };
    stream.on("data", count);
    stream.once("end", end);
    stream.once("close", end);
    this.hold(request, bytes);
  }
}
