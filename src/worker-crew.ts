import type { ChildProcess } from "node:child_process";
import type { Logger } from "./log.ts";
import { messageOf } from "./message-of.ts";
import { StartError } from "./settings.ts";

/** What a worker tells the process that started it. */
export type WorkerMessage =
  | { readonly kind: "worker-ready" }
  | { readonly kind: "worker-failed"; readonly reason: string };

export interface WorkerCrewOptions {
  readonly count: number;
  /** Starts one. */
  readonly fork: () => ChildProcess;
  readonly log: Logger;
}

/** A worker that lived for so long is replaced at once. */
const STEADY_MS = 5_000;
/** One that did not is replaced after so long: what ended it is likely to end the next one, too. */
const RESTART_AFTER_MS = 1000;
const STOP_MS = 5_000;

/** Keeps so many workers running: each that ends is replaced, whatever ended it and whenever. */
export class WorkerCrew {
  readonly #options: WorkerCrewOptions;
  readonly #running = new Set<ChildProcess>();
  readonly #ready = new Set<ChildProcess>();
  #up = false;
  #stopping = false;

  constructor(options: WorkerCrewOptions) {
    this.#options = options;
  }

  /** Resolves once all are ready. Rejects with a `StartError` when one can't start; stop the others then. */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.count }, () => this.#startOne()));
    this.#up = true;
  }

  reload(): void {
    // One that is not ready would be ended by it, and has yet to read, or watches, what there is to read again.
    for (const worker of this.#ready) worker.kill("SIGHUP");
  }

  /** Resolves once all have ended, in order or, after 5 s, by force. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const ended = [...this.#running].map(
      (worker) => new Promise<void>((resolve) => worker.once("close", () => resolve())),
    );
    for (const worker of this.#running) worker.kill("SIGTERM");
    const late = setTimeout(() => {
      for (const worker of this.#running) worker.kill("SIGKILL");
    }, STOP_MS);
    await Promise.all(ended);
    clearTimeout(late);
  }

  #startOne(): Promise<void> {
    const began = performance.now();
    const worker = this.#options.fork();
    this.#running.add(worker);
    return new Promise((resolve, reject) => {
      let cause: string | undefined;
      worker.on("message", (message: WorkerMessage) => {
        if (message.kind === "worker-failed") cause = message.reason;
        if (message.kind !== "worker-ready") return;
        this.#ready.add(worker);
        resolve();
      });
      // Such as that there is no room for one more process.
      worker.on("error", (error) => {
        cause ??= messageOf(error);
      });
      // Not at its `exit`, when what it said last may not be read yet.
      worker.once("close", (code, signal) => {
        this.#running.delete(worker);
        const started = this.#ready.delete(worker) || this.#up;
        reject(new StartError(cause ?? `a worker ended with ${signal ?? code} before it was ready`));
        if (this.#stopping || !started) return;
        const { log } = this.#options;
        log.error({ pid: worker.pid, code, signal, cause }, "a worker ended; another one is started");
        this.#startAnother(performance.now() - began < STEADY_MS ? RESTART_AFTER_MS : 0);
      });
    });
  }

  #startAnother(afterMs: number): void {
    setTimeout(() => {
      if (this.#stopping) return;
      // Whatever it ends with was logged where it is replaced.
      this.#startOne().catch(() => {});
    }, afterMs);
  }
}
