import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { SlotsError } from "../../domain/errors.ts";
import { StorageOpenError } from "../open-error.ts";
import type { CommitChannel, WriteKind, WriterStats, Writes } from "./commit-channel.ts";
import type { StoreEvent } from "./store-event.ts";
import type { FromWriter, ToWriter, WriterThreadData } from "./thread-messages.ts";
import { WriteQueue, type WriteQueueOptions } from "./write-queue.ts";

export interface ThreadChannelOptions extends Omit<WriteQueueOptions, "send"> {
  readonly file: string;
  readonly bellFile: string;
  readonly busyTimeoutMs: number;
  readonly onEvent: (event: StoreEvent) => void;
  /** The process must end now: what is on disk is in doubt (D5). */
  readonly onFatal: (reason: string) => void;
}

/** The writer as a thread of this process. */
export class ThreadChannel implements CommitChannel {
  readonly #options: ThreadChannelOptions;
  readonly #port: MessagePort;
  readonly #queue: WriteQueue;
  readonly #ended: Promise<void>;
  readonly #rings: (() => void)[] = [];
  #stats: WriterStats = { writes: 0, commits: 0, flushes: 0, largestGroup: 0 };
  #closing = false;
  #closed = false;
  #failed = false;

  private constructor(worker: Worker, port: MessagePort, options: ThreadChannelOptions) {
    this.#options = options;
    this.#port = port;
    const { maxWaiting, maxWaitingBytes } = options;
    this.#queue = new WriteQueue({
      maxWaiting,
      maxWaitingBytes,
      send: (bytes) => this.#post({ kind: "writes", bytes }),
    });
    port.on("message", (message: FromWriter) => this.#take(message));
    worker.on("error", (error) => this.#fail(`the writer thread failed: ${error.message}`));
    this.#ended = new Promise((resolve) => {
      worker.once("exit", () => {
        if (!this.#closed) this.#fail("the writer thread ended");
        resolve();
      });
    });
  }

  static async open(options: ThreadChannelOptions): Promise<ThreadChannel> {
    const { port1, port2 } = new MessageChannel();
    const script = import.meta.url.endsWith(".ts") ? "./writer-thread.ts" : "./writer-thread.js";
    const { file, bellFile, busyTimeoutMs } = options;
    const data: WriterThreadData = { file, bellFile, busyTimeoutMs, port: port2 };
    const worker = new Worker(new URL(script, import.meta.url), {
      workerData: data,
      transferList: [port2],
      name: "store-writer",
    });
    const opened = await new Promise<FromWriter>((resolve, reject) => {
      port1.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () => reject(new Error("the writer thread ended before it was ready")));
    });
    worker.removeAllListeners();
    if (opened.kind === "not-opened") {
      port1.close();
      throw new StorageOpenError(options.file, `can't be opened for writing: ${opened.message}`);
    }
    const channel = new ThreadChannel(worker, port1, options);
    // What came first may also have been an event.
    channel.#take(opened);
    return channel;
  }

  write<K extends WriteKind>(kind: K, input: Writes[K]["input"]): Promise<Writes[K]["output"]> {
    return this.#queue.write(kind, input);
  }

  onCommitted(ring: () => void): void {
    this.#rings.push(ring);
  }

  stats(): WriterStats {
    return this.#stats;
  }

  async close(): Promise<void> {
    if (!this.#closing && !this.#failed) {
      this.#closing = true;
      this.#queue.flush();
      this.#queue.refuse(new SlotsError("DRAINING", "the store is closed"));
      this.#post({ kind: "close" });
    }
    await this.#ended;
  }

  #post(message: ToWriter): void {
    this.#port.postMessage(message);
  }

  #take(message: FromWriter): void {
    switch (message.kind) {
      case "answers": {
        this.#stats = message.stats;
        this.#queue.settle(message.bytes);
        if (message.committed) for (const ring of this.#rings) ring();
        return;
      }
      case "event":
        this.#options.onEvent(message.event);
        return;
      case "fatal":
        this.#fail(message.reason);
        return;
      case "closed":
        this.#closed = true;
        this.#port.close();
        return;
      case "ready":
      case "not-opened":
        return;
      default:
        message satisfies never;
    }
  }

  /** Those who wait are never answered: nobody knows what became of their writes (D5). */
  #fail(reason: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#queue.refuse(new SlotsError("INTERNAL", "the store has failed"));
    this.#port.close();
    this.#options.onFatal(reason);
  }
}
