import type { Socket } from "node:net";
import { addressGroup, ConcurrencyLimit } from "../limits.ts";
import type { ConnectionSource } from "./connection-source.ts";

export interface ListenerOptions {
  readonly source: ConnectionSource;
  readonly connections: ConcurrencyLimit;
  /** A connection that brings no byte for so long is cut, milliseconds: whoever lives answers pings. */
  readonly silenceMs: number;
  readonly accept: (socket: Socket) => void;
  /** Told of each connection that is turned away. */
  readonly refused: (address: string) => void;
}

/** How often silent connections are looked for, milliseconds. */
const LOOK_MS = 2_000;
/** Connections over its bound that one address may have at once, to be told so; what is over that is cut at once. */
const TOLD_AT_ONCE = 16;
/** Time for such a connection to make its call and hear why it is refused, milliseconds. */
const FAREWELL_MS = 2_000;

/** Accepts connections for grpc-js, so that how many one address holds is bounded before any of them costs much. */
export class Listener {
  readonly #options: ListenerOptions;
  /** With how many bytes each had brought when it was looked at, and how many looks ago that was more than before. */
  readonly #sockets = new Map<Socket, { bytes: number; looks: number }>();
  #looking: NodeJS.Timeout | undefined;
  /** Peers that are over their address's bound, in grpc-js's words. */
  readonly #crowded = new Set<string>();
  readonly #told = new ConcurrencyLimit({
    max: TOLD_AT_ONCE,
    reason: "TOO_MANY_CONNECTIONS",
    retryAfterMs: 0,
  });
  #drained: (() => void) | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Resolves with the address in use once connections come. */
  listen(): Promise<string | undefined> {
    this.#looking = setInterval(() => this.#cutSilent(), LOOK_MS);
    this.#looking.unref();
    return this.#options.source.open((socket) => this.#accept(socket));
  }

  /** Whether the connection of that peer (grpc-js's `getPeer`) is one too many of its address. */
  isCrowded(peer: string): boolean {
    return this.#crowded.size > 0 && this.#crowded.has(peer);
  }

  /** Stops to accept; connections go on. */
  close(): void {
    this.#options.source.close();
  }

  /** Resolves once no connection is left. */
  get drained(): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  /** Ends what is left. */
  destroy(): void {
    clearInterval(this.#looking);
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  /**
   * HTTP/2 gives a connection up whose pings are not answered, but first waits for a write that is under way: to a peer
   * that is gone or takes nothing that is for long, or for ever. Looks are counted, not time: a process that stood still
   * must not blame its peers for it.
   */
  #cutSilent(): void {
    for (const [socket, heard] of this.#sockets) {
      const { bytesRead } = socket;
      heard.looks = bytesRead === heard.bytes ? heard.looks + 1 : 0;
      heard.bytes = bytesRead;
      if (heard.looks * LOOK_MS >= this.#options.silenceMs) socket.destroy();
    }
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? "unix";
    const group = addressGroup(address);
    const place = this.#options.connections.tryEnter(group);
    if (place === undefined) this.#options.refused(address);
    const leave = place ?? this.#admitToTell(socket, group);
    if (leave === undefined) {
      socket.destroy();
      return;
    }
    this.#sockets.set(socket, { bytes: 0, looks: 0 });
    socket.once("close", () => {
      this.#sockets.delete(socket);
      leave();
      if (this.#sockets.size === 0) this.#drained?.();
    });
    // Without a listener a reset connection would end the process.
    socket.on("error", () => {});
    this.#options.accept(socket);
  }

  /** Lets a connection in for a moment, so that its caller hears RESOURCE_EXHAUSTED and when to come again. */
  #admitToTell(socket: Socket, group: string): (() => void) | undefined {
    // All connections of a Unix socket are one peer to grpc-js.
    if (socket.remoteAddress === undefined) return undefined;
    const leave = this.#told.tryEnter(group);
    if (leave === undefined) return undefined;
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#crowded.add(peer);
    const timer = setTimeout(() => socket.destroy(), FAREWELL_MS);
    return () => {
      clearTimeout(timer);
      this.#crowded.delete(peer);
      leave();
    };
  }
}
