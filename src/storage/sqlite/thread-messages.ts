import type { MessagePort } from "node:worker_threads";
import type { WriterStats } from "./commit-channel.ts";
import type { StoreEvent } from "./store-event.ts";

export interface WriterThreadData {
  readonly file: string;
  readonly bellFile: string;
  readonly busyTimeoutMs: number;
  readonly port: MessagePort;
}

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
