import { deserialize, serialize } from "node:v8";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { SlotsError } from "../../domain/errors.ts";
import { StorageOpenError } from "../open-error.ts";
import type { CommitChannel, WriteKind, WriteRequest, WriterStats, Writes } from "./commit-channel.ts";
import type { WriteAnswer } from "./group-writer.ts";
import type { StoreEvent } from "./store-event.ts";
import type {
  FromWriter,
  NumberedAnswer,
  NumberedRequest,
  ToWriter,
  WriterThreadData,
} from "./thread-messages.ts";

export interface ThreadChannelOptions {
  readonly file: string;
  readonly bellFile: string;
  readonly busyTimeoutMs: number;
  /** Writes that may wait for an answer at a time. */
  readonly maxWaiting: number;
  /** Bytes of values that may wait at a time. */
  readonly maxWaitingBytes: number;
  readonly onEvent: (event: StoreEvent) => void;
  /** The process must end now: what is on disk is in doubt (D5). */
  readonly onFatal: (reason: string) => void;
}

interface Waiting {
  readonly bytes: number;
  readonly resolve: (output: never) => void;
  readonly reject: (error: SlotsError) => void;
}

const QUEUE_RETRY_MS = 500;

/** The writer as a thread of this process. */
export class ThreadChannel implements CommitChannel {
  readonly #options: ThreadChannelOptions;
  readonly #port: MessagePort;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  readonly #rings: (() => void)[] = [];
  #waitingBytes = 0;
  #stats: WriterStats = { writes: 0, commits: 0, flushes: 0, largestGroup: 0 };
  #unsent: NumberedRequest[] = [];
  #lastId = 0;
  #closing = false;
  #closed = false;
  #failed = false;

  private constructor(worker: Worker, port: MessagePort, options: ThreadChannelOptions) {
    this.#options = options;
    this.#port = port;
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
    const bytes = kind === "commit" ? sizeOf(input as Writes["commit"]["input"]) : 0;
    if (this.#closing) return Promise.reject(new SlotsError("DRAINING", "the store is closed"));
    const { maxWaiting, maxWaitingBytes } = this.#options;
    if (this.#waiting.size >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes) {
      const message = "too many writes are waiting";
      return Promise.reject(new SlotsError("WRITE_QUEUE_FULL", message, { retryAfterMs: QUEUE_RETRY_MS }));
    }
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      const id = this.#lastId;
      this.#waiting.set(id, { bytes, resolve, reject });
      this.#waitingBytes += bytes;
      // What one turn of the event loop brings travels as one message.
      if (this.#unsent.length === 0) setImmediate(() => this.#send());
      this.#unsent.push({ id, request: { kind, input } as WriteRequest });
    });
  }

  onCommitted(ring: () => void): void {
    this.#rings.push(ring);
  }

  stats(): WriterStats {
    return this.#stats;
  }

  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#send();
      this.#post({ kind: "close" });
    }
    await this.#ended;
  }

  #send(): void {
    if (this.#unsent.length === 0) return;
    const bytes = serialize(this.#unsent);
    this.#unsent = [];
    this.#post({ kind: "writes", bytes });
  }

  #post(message: ToWriter): void {
    this.#port.postMessage(message);
  }

  #take(message: FromWriter): void {
    switch (message.kind) {
      case "answers": {
        const answers = deserialize(message.bytes) as NumberedAnswer[];
        this.#stats = message.stats;
        for (const { id, answer } of answers) this.#settle(id, answer);
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

  #settle(id: number, answer: WriteAnswer): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    this.#waitingBytes -= waiting.bytes;
    if (answer.ok) {
      waiting.resolve(answer.output as never);
      return;
    }
    const { reason, message, retryAfterMs } = answer.failure;
    waiting.reject(new SlotsError(reason, message, retryAfterMs === undefined ? {} : { retryAfterMs }));
  }

  /** Those who wait are never answered: nobody knows what became of their writes (D5). */
  #fail(reason: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#closing = true;
    this.#options.onFatal(reason);
  }
}

function sizeOf({ mutation }: Writes["commit"]["input"]): number {
  return mutation.kind === "put-slot" ? mutation.record.ciphertext.length : 0;
}
