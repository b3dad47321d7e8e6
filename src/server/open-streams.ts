import type { ServerCall } from "./server-call.ts";

/** The streams that are open, so that a server that stops can end them. */
export class OpenStreams {
  readonly #calls = new Set<ServerCall>();
  #reason: Error | undefined;

  add(call: ServerCall): void {
    this.#calls.add(call);
    if (this.#reason !== undefined) call.abort(this.#reason);
  }

  delete(call: ServerCall): void {
    this.#calls.delete(call);
  }

  /** Aborts all that are open, and each that opens from now on. */
  abort(reason: Error): void {
    this.#reason = reason;
    for (const call of this.#calls) call.abort(reason);
  }
}
