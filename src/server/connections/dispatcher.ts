import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { addressGroup, type ConcurrencyLimit } from "../limits.ts";
import type { GivenUp, Offer, WorkerSays } from "./handover.ts";
import { Tally } from "./tally.ts";

export interface DispatcherOptions {
  /** Connections that may wait for a worker; more are cut. Each costs a file descriptor and some kilobytes. */
  readonly maxWaiting: number;
  /** Bounds how many of one address wait, by its group. */
  readonly waitingOfAddress: ConcurrencyLimit;
  /** How long a connection may wait until a worker has taken it, milliseconds; then it is cut. */
  readonly waitMs: number;
  readonly log: Log;
}

interface Log {
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** A worker that a connection could not be sent to is tried again after so long: the others have it until then. */
const RETRY_MS = 100;

/**
 * Hands connections to workers, in turn. A worker says of each that it took it before it reads from it, so that whatever
 * it had not taken when it ended another one can answer from the beginning: no connection is left with nobody.
 *
 * A worker is offered one connection at a time: a slow one gets fewer, one that stands still holds up one, and is ended
 * if it goes on to. So is one whose pipe lost a connection: when the system refuses the write, Node calls it sent, and from
 * then on keeps back whatever else is for that worker, the answers to its commits among it.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #waiting = new Set<Socket>();
  /** Workers with nothing on offer; whose turn it is first. */
  readonly #free = new Set<ChildProcess>();
  readonly #offers = new Map<ChildProcess, { readonly id: number; readonly socket: Socket }>();
  /** Workers that get nothing for now, and what ends that. */
  readonly #resting = new Map<ChildProcess, NodeJS.Timeout>();
  readonly #refused: Tally;
  readonly #late: Tally;
  readonly #unsent: Tally<Error>;
  #lastId = 0;
  #closed = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    const { log } = options;
    this.#refused = new Tally((count) =>
      log.warn({ count }, "connections were cut: as many wait for a worker as may"),
    );
    this.#late = new Tally((count) =>
      log.warn({ count }, "connections were cut: no worker took them in time"),
    );
    this.#unsent = new Tally((count, { message: cause }) =>
      log.warn({ count, cause }, "connections could not be sent to a worker; others get them"),
    );
  }

  /** Of a source that doesn't read from them. */
  accept(socket: Socket): void {
    const { maxWaiting, waitingOfAddress, waitMs } = this.#options;
    const leave =
      this.#waiting.size < maxWaiting
        ? waitingOfAddress.tryEnter(addressGroup(socket.remoteAddress ?? "unix"))
        : undefined;
    if (leave === undefined) {
      this.#refused.add();
      socket.destroy();
      return;
    }
    // This process closes its copy once the connection waits no more, whatever became of it.
    socket.once("close", leave);
    // Without a listener an error would end the process.
    socket.on("error", () => {});
    socket.setTimeout(waitMs, () => this.#giveUp(socket));
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
    for (const tally of [this.#refused, this.#late, this.#unsent]) tally.tell();
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
      if (error !== null) this.#notSent(worker, offer.id, error);
    });
  }

  #notSent(worker: ChildProcess, id: number, error: Error): void {
    const socket = this.#withdraw(worker, id);
    if (socket === undefined) return;
    this.#unsent.add(error);
    // It may pass. Without its pipe a worker ends, and is replaced.
    if (worker.connected) this.#rest(worker, RETRY_MS, () => this.#isFree(worker));
    this.#wait(socket);
  }

  #taken(worker: ChildProcess, id: number): void {
    const socket = this.#withdraw(worker, id);
    if (socket === undefined) return;
    socket.destroy();
    this.#free.add(worker);
  }

  /** The connection on offer; undefined for one that was given up before. */
  #withdraw(worker: ChildProcess, id: number): Socket | undefined {
    const offer = this.#offers.get(worker);
    if (offer?.id !== id) return undefined;
    this.#offers.delete(worker);
    return offer.socket;
  }

  #leave(worker: ChildProcess): void {
    this.#free.delete(worker);
    this.#endRest(worker);
    const offer = this.#offers.get(worker);
    this.#offers.delete(worker);
    if (offer !== undefined) this.#wait(offer.socket);
  }

  #rest(worker: ChildProcess, ms: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#resting.delete(worker);
      then();
    }, ms);
    this.#resting.set(worker, timer);
  }

  /** False if it did not rest. */
  #endRest(worker: ChildProcess): boolean {
    clearTimeout(this.#resting.get(worker));
    return this.#resting.delete(worker);
  }

  #isFree(worker: ChildProcess): void {
    this.#free.add(worker);
    this.#match();
  }

  /**
   * Closes this process's copy. A worker that has a copy may still take it; if none has, because a worker was out of
   * file descriptors as it came, the connection ends.
   */
  #giveUp(socket: Socket): void {
    this.#late.add();
    socket.destroy();
    this.#waiting.delete(socket);
    for (const [worker, { id, socket: offered }] of this.#offers) {
      if (offered !== socket) continue;
      this.#offers.delete(worker);
      this.#probe(worker, id);
    }
  }

  /** What is sent now leaves once the worker's end of the pipe has the connection, or can't have it. */
  #probe(worker: ChildProcess, id: number): void {
    const { log, waitMs } = this.#options;
    this.#rest(worker, waitMs, () => {
      log.error({ pid: worker.pid }, "a worker stands still, or nothing reaches it; it is ended");
      worker.kill("SIGKILL");
    });
    const givenUp: GivenUp = { kind: "connection-given-up", id };
    worker.send(givenUp, (error) => {
      if (error === null && this.#endRest(worker)) this.#isFree(worker);
    });
  }
}
