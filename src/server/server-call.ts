import type { EventEmitter } from "node:events";
import type { MetadataValue, ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import type { Rpc } from "../core/required-action.ts";
import { SlotsError } from "../domain/errors.ts";
import type { CertifiedCall } from "./tls/tls.ts";

/** A call before anybody is known to have made it. */
export interface ArrivedCall {
  readonly rpc: Rpc;
  /** The other end, `ADDRESS:PORT` as grpc-js's `getPeer` has it. */
  readonly peer: string;
  /** As of a `Call`. */
  readonly connection: unknown;
  /** The values of its authorization header. */
  readonly authorization: readonly MetadataValue[];
  readonly certified: CertifiedCall;
  /** Aborted when the caller goes away, its deadline passes, or the server stops. */
  readonly signal: AbortSignal;
  /** When it came in, by `performance.now`. */
  readonly since: number;
  /** Call once the caller is known: a token must not lie in memory for as long as a stream lasts (S1). */
  forgetCredentials(): void;
  /** Gives back the place that it takes up among its caller's; set once it has one. */
  leave: (() => void) | undefined;
}

/** A call that can be ended from this side. */
export interface AbortableCall extends ArrivedCall {
  /** Its signal aborts with this reason, unless it was aborted before. */
  abort(reason: unknown): void;
}

export type RawCall =
  | ServerUnaryCall<Buffer, Buffer>
  | ServerWritableStream<Buffer, Buffer>
  | ServerDuplexStream<Buffer, Buffer>;

/** A call as grpc-js gives it. */
export class ServerCall implements AbortableCall {
  readonly rpc: Rpc;
  readonly peer: string;
  readonly since = performance.now();
  leave: (() => void) | undefined = undefined;
  readonly #raw: RawCall;
  #controller: AbortController | undefined;

  constructor(rpc: Rpc, raw: RawCall) {
    this.rpc = rpc;
    this.peer = raw.getPeer();
    this.#raw = raw;
  }

  get authorization(): readonly MetadataValue[] {
    return this.#raw.metadata.get("authorization");
  }

  /** grpc-js tells no more of it: over a Unix socket all its calls are taken to be of one. */
  get connection(): string {
    return this.peer;
  }

  forgetCredentials(): void {
    this.#raw.metadata.remove("authorization");
  }

  get certified(): CertifiedCall {
    return this.#raw;
  }

  /** Made when first asked for: most unary calls end before anyone could want to stop them. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#raw.cancelled) this.#cancelled();
      else (this.#raw as EventEmitter).once("cancelled", () => this.#cancelled());
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    if (!this.signal.aborted) this.#controller?.abort(reason);
  }

  #cancelled(): void {
    this.#controller?.abort(callerGone());
  }
}

export function callerGone(): SlotsError {
  return new SlotsError("CANCELLED", "the caller went away, or its deadline passed");
}
