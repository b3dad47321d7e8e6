import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Offer, WorkerSays } from "./handover.ts";

export interface DispatcherOptions {
  /** Connections that may wait for a worker; more are cut. Each costs a file descriptor and some kilobytes. */
  readonly maxWaiting: number;
  /** How long a connection may wait until a worker has taken it, milliseconds; then it is cut. */
  readonly waitMs: number;
}

/**
 * Hands connections to workers, in turn. A worker says of each that it took it before it reads from it, so that whatever
 * it had not taken when it ended another one can answer from the beginning: no connection is left with nobody.
 *
 * A worker is offered one connection at a time: a slow one gets fewer, one that stands still holds up one.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #waiting = new Set<Socket>();
  /** Workers with nothing on offer; whose turn it is first. */
  readonly #free = new Set<ChildProcess>();
  readonly #offers = new Map<ChildProcess, { readonly id: number; readonly socket: Socket }>();
  #lastId = 0;
  #closed = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Of a source that doesn't read from them. */
  accept(socket: Socket): void {
    if (this.#waiting.size >= this.#options.maxWaiting) {
      socket.destroy();
      return;
    }
    // Without a listener an error would end the process.
    socket.on("error", () => {});
    socket.setTimeout(this.#options.waitMs, () => this.#giveUp(socket));
    this.#wait(socket);
  }

  /** A worker that may say that it takes connections, a child process with `advanced` serialization. */
  add(worker: ChildProcess): void {
    worker.on("message", (message: WorkerSays) => {
      if (message.kind === "connections-open") this.#free.add(worker);
      else if (message.kind === "connection-taken") this.#taken(worker, message.id);
      else if (message.kind === "connections-closed") this.#leave(worker);
      else return;
      this.#match();
    });
    // Not at its `exit`: what it said before that may not be read yet. Nor at `disconnect`, which does not come while
    // a socket is on its way.
    worker.once("close", () => this.#leave(worker));
  }

  /** Cuts what waits. What is on offer can still be taken. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting.clear();
  }

  #wait(socket: Socket): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    this.#waiting.add(socket);
    this.#match();
  }

  #match(): void {
    for (const socket of this.#waiting) {
      const [worker] = this.#free;
      if (worker === undefined) return;
      this.#waiting.delete(socket);
      this.#free.delete(worker);
      this.#offer(worker, socket);
    }
  }

  #offer(worker: ChildProcess, socket: Socket): void {
    const offer: Offer = { kind: "connection", id: ++this.#lastId };
    this.#offers.set(worker, { id: offer.id, socket });
    // It stays open here, too, until it is taken; to close it then doesn't end the connection.
    worker.send(offer, socket, { keepOpen: true }, (error) => {
      // There is no way to it any more: it has ended or is about to.
      if (error !== null) this.#leave(worker);
    });
  }

  #taken(worker: ChildProcess, id: number): void {
    const offer = this.#offers.get(worker);
    // One that it was too long about.
    if (offer?.id !== id) return;
    this.#offers.delete(worker);
    offer.socket.destroy();
    this.#free.add(worker);
  }

  #leave(worker: ChildProcess): void {
    this.#free.delete(worker);
    const offer = this.#offers.get(worker);
    this.#offers.delete(worker);
    if (offer !== undefined) this.#wait(offer.socket);
  }

  /**
   * Closes this process's copy. A worker that has a copy may still take it; if none has, because a worker was out of
   * file descriptors as it came, the connection ends.
   */
  #giveUp(socket: Socket): void {
    socket.destroy();
    this.#waiting.delete(socket);
    for (const [worker, offer] of this.#offers) {
      if (offer.socket !== socket) continue;
      this.#offers.delete(worker);
      this.#free.add(worker);
    }
    this.#match();
  }
}
