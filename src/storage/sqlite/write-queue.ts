import { deserialize, serialize } from "node:v8";
import { SlotsError } from "../../domain/errors.ts";
import type { WriteKind, WriteRequest, Writes } from "./commit-channel.ts";
import type { WriteAnswer } from "./group-writer.ts";

export interface NumberedRequest {
  readonly id: number;
  readonly request: WriteRequest;
}

export interface NumberedAnswer {
  readonly id: number;
  readonly answer: WriteAnswer;
}

export interface WriteQueueOptions {
  /** Writes that may wait for an answer at a time. */
  readonly maxWaiting: number;
  /** Bytes of sealed values that may wait at a time. */
  readonly maxWaitingBytes: number;
  /** Takes a serialised NumberedRequest[]: as it is, a view into a large buffer would travel with all of it. */
  readonly send: (bytes: Uint8Array) => void;
}

interface Waiting {
  readonly bytes: number;
  readonly resolve: (output: never) => void;
  readonly reject: (error: SlotsError) => void;
}

const RETRY_MS = 500;

/** The callers' end of a channel: who waits for what. What one turn of the event loop brings is sent as one. */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onDrained: (() => void)[] = [];
  #waitingBytes = 0;
  #unsent: NumberedRequest[] = [];
  #lastId = 0;
  #refusal: SlotsError | undefined;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  write<K extends WriteKind>(kind: K, input: Writes[K]["input"]): Promise<Writes[K]["output"]> {
    const bytes = kind === "commit" ? sizeOf(input as Writes["commit"]["input"]) : 0;
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    const { maxWaiting, maxWaitingBytes } = this.#options;
    if (this.#waiting.size >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes) {
      const message = "too many writes are waiting";
      return Promise.reject(new SlotsError("WRITE_QUEUE_FULL", message, { retryAfterMs: RETRY_MS }));
    }
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      const id = this.#lastId;
      this.#waiting.set(id, { bytes, resolve, reject });
      this.#waitingBytes += bytes;
      if (this.#unsent.length === 0) setImmediate(() => this.flush());
      this.#unsent.push({ id, request: { kind, input } as WriteRequest });
    });
  }

  /** Sends what was not sent yet. */
  flush(): void {
    if (this.#unsent.length === 0) return;
    const bytes = serialize(this.#unsent);
    this.#unsent = [];
    this.#options.send(bytes);
  }

  /** Takes a serialised NumberedAnswer[]. */
  settle(bytes: Uint8Array): void {
    for (const { id, answer } of deserialize(bytes) as NumberedAnswer[]) this.#settleOne(id, answer);
    this.#tellDrained();
  }

  /** Refuses every write from now on. */
  refuse(error: SlotsError): void {
    this.#refusal ??= error;
  }

  /** Tells those who wait that no answer will come. */
  abandon(error: SlotsError): void {
    this.refuse(error);
    this.#unsent = [];
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#waitingBytes = 0;
    this.#tellDrained();
  }

  /** Resolves once nobody waits any more. */
  async drained(): Promise<void> {
    this.flush();
    if (this.#waiting.size > 0) await new Promise<void>((resolve) => this.#onDrained.push(resolve));
  }

  #tellDrained(): void {
    if (this.#waiting.size > 0) return;
    for (const resolve of this.#onDrained.splice(0)) resolve();
  }

  #settleOne(id: number, answer: WriteAnswer): void {
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
}

function sizeOf({ mutation }: Writes["commit"]["input"]): number {
  return mutation.kind === "put-slot" ? mutation.record.ciphertext.length : 0;
}
