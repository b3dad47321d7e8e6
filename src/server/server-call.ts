import type { EventEmitter } from "node:events";
import type { ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import type { Rpc } from "../core/required-action.ts";
import { SlotsError } from "../domain/errors.ts";

export type RawCall =
  | ServerUnaryCall<Buffer, Buffer>
  | ServerWritableStream<Buffer, Buffer>
  | ServerDuplexStream<Buffer, Buffer>;

/** A call as grpc-js gives it, before anybody is known to have made it. */
export class ServerCall {
  readonly rpc: Rpc;
  readonly raw: RawCall;
  #controller: AbortController | undefined;

  constructor(rpc: Rpc, raw: RawCall) {
    this.rpc = rpc;
    this.raw = raw;
  }

  /** Made when first asked for: most unary calls end before anyone could want to stop them. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.raw.cancelled) this.#cancelled();
      else (this.raw as EventEmitter).once("cancelled", () => this.#cancelled());
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    if (!this.signal.aborted) this.#controller?.abort(reason);
  }

  #cancelled(): void {
    this.#controller?.abort(new SlotsError("CANCELLED", "the caller went away, or its deadline passed"));
  }
}
