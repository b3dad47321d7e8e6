import { deserialize, serialize } from "node:v8";
import { SlotsError } from "../../domain/errors.ts";
import type { CommitChannel, WriteKind, WriterStats, Writes } from "./commit-channel.ts";
import { failureOf, type WriteAnswer } from "./group-writer.ts";
import {
  type NumberedAnswer,
  type NumberedRequest,
  WriteQueue,
  type WriteQueueOptions,
} from "./write-queue.ts";

/** Carries messages between two processes, in order; such as a child process's IPC, `advanced` serialisation. */
export interface Pipe {
  send(message: PipeMessage): void;
  /** Others may use the same pipe: messages of other kinds are passed over. */
  onMessage(take: (message: PipeMessage) => void): void;
  onEnd(ended: () => void): void;
}

export type PipeMessage =
  | { readonly kind: "store-writes"; readonly bytes: Uint8Array }
  | { readonly kind: "store-answers"; readonly bytes: Uint8Array; readonly stats: WriterStats };

/** The way to a writer that lives in another process, which serves it with `serveWrites`. */
export class RemoteChannel implements CommitChannel {
  readonly #queue: WriteQueue;
  readonly #rings: (() => void)[] = [];
  #stats: WriterStats = { writes: 0, commits: 0, flushes: 0, largestGroup: 0 };

  constructor(pipe: Pipe, bounds: Omit<WriteQueueOptions, "send">) {
    this.#queue = new WriteQueue({ ...bounds, send: (bytes) => pipe.send({ kind: "store-writes", bytes }) });
    pipe.onMessage((message) => {
      if (message.kind !== "store-answers") return;
      this.#stats = message.stats;
      this.#queue.settle(message.bytes);
      for (const ring of this.#rings) ring();
    });
    // Whether what waits was written nobody here can know; it is wholly there or wholly absent (D2).
    pipe.onEnd(() => this.#queue.abandon(new SlotsError("STORE_BUSY", "the writer's process is gone")));
  }

  write<K extends WriteKind>(kind: K, input: Writes[K]["input"]): Promise<Writes[K]["output"]> {
    return this.#queue.write(kind, input);
  }

  onCommitted(ring: () => void): void {
    this.#rings.push(ring);
  }

  /** As of the last answer; they count the writes of all processes. */
  stats(): WriterStats {
    return this.#stats;
  }

  async close(): Promise<void> {
    const drained = this.#queue.drained();
    this.#queue.refuse(new SlotsError("DRAINING", "the store is closed"));
    await drained;
  }
}

/** Executes the writes that come through a pipe on this process's channel. */
export function serveWrites(pipe: Pipe, channel: CommitChannel): void {
  let answers: NumberedAnswer[] = [];

  function answer(id: number, outcome: WriteAnswer): void {
    // What was written as one group is answered as one.
    if (answers.length === 0) setImmediate(send);
    answers.push({ id, answer: outcome });
  }

  function send(): void {
    const bytes = serialize(answers);
    answers = [];
    pipe.send({ kind: "store-answers", bytes, stats: channel.stats() });
  }

  pipe.onMessage((message) => {
    if (message.kind !== "store-writes") return;
    for (const { id, request } of deserialize(message.bytes) as NumberedRequest[]) {
      channel.write(request.kind, request.input).then(
        (output) => answer(id, { ok: true, output }),
        (error: unknown) => answer(id, { ok: false, failure: failureOf(error) }),
      );
    }
  });
}
