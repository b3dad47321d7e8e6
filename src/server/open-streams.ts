import type { AbortableCall } from "./server-call.ts";

/** The streams that are open, so that a server that stops can end them. */
export class OpenStreams {
  readonly #calls = new Set<AbortableCall>();
  #reason: Error | undefined;

  add(call: AbortableCall): void {
    this.#calls.add(call);
    if (this.#reason !== undefined) call.abort(this.#reason);
  }

  delete(call: AbortableCall): void {
    this.#calls.delete(call);
  }

  /** Aborts all that are open, and each that opens from now on. */
  abort(reason: Error): void {
    this.#reason = reason;
    for (const call of this.#calls) call.abort(reason);
  }
}
