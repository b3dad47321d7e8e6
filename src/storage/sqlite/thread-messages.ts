import type { MessagePort } from "node:worker_threads";
import type { WriteRequest, WriterStats } from "./commit-channel.ts";
import type { WriteAnswer } from "./group-writer.ts";
import type { StoreEvent } from "./store-event.ts";

export interface WriterThreadData {
  readonly file: string;
  readonly bellFile: string;
  readonly busyTimeoutMs: number;
  readonly port: MessagePort;
}

export interface NumberedRequest {
  readonly id: number;
  readonly request: WriteRequest;
}

export interface NumberedAnswer {
  readonly id: number;
  readonly answer: WriteAnswer;
}

/** Writes and answers travel serialised: a view into a large buffer would be cloned with the whole of it. */
export type ToWriter =
  /** NumberedRequest[] */
  { readonly kind: "writes"; readonly bytes: Uint8Array } | { readonly kind: "close" };

export type FromWriter =
  | { readonly kind: "ready" }
  | { readonly kind: "not-opened"; readonly message: string; readonly code: string | undefined }
  /** NumberedAnswer[] */
  | {
      readonly kind: "answers";
      readonly bytes: Uint8Array;
      readonly committed: boolean;
      readonly stats: WriterStats;
    }
  | { readonly kind: "event"; readonly event: StoreEvent }
  | { readonly kind: "fatal"; readonly reason: string }
  | { readonly kind: "closed" };
