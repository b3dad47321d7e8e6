import type { Alarm, Alarms } from "../core/alarms.ts";
import { SlotsError } from "../domain/errors.ts";
import type { OutgoingStream } from "./serve-stream.ts";
import type { AbortableCall } from "./server-call.ts";

/**
 * Writes the messages of one stream, each when the transport has taken the one before, so that at most one event
 * waits in the server beyond the flow-control window (W5). A reader that takes nothing for `slowMs` is let go (W13).
 */
export class MessageWriter implements Alarm {
  at = Number.POSITIVE_INFINITY;
  tick: number | undefined;
  readonly #out: OutgoingStream;
  readonly #call: AbortableCall;
  readonly #signal: AbortSignal;
  readonly #alarms: Alarms;
  readonly #slowMs: number;
  #taken: (() => void) | undefined;
  readonly #finish = () => {
    this.at = Number.POSITIVE_INFINITY;
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
  };

  constructor(
    out: OutgoingStream,
    call: AbortableCall,
    { alarms, slowConsumerMs }: { readonly alarms: Alarms; readonly slowConsumerMs: number },
  ) {
    this.#out = out;
    this.#call = call;
    this.#alarms = alarms;
    this.#slowMs = slowConsumerMs;
    this.#signal = call.signal;
    this.#signal.addEventListener("abort", this.#finish, { once: true });
  }

  /** Calls `taken` once the transport has the message, or the call was aborted; wait for it before the next one. */
  write(message: Buffer, taken: () => void): void {
    if (this.#signal.aborted) {
      taken();
      return;
    }
    this.#taken = taken;
    this.#alarms.set(this, this.#slowMs);
    // A write that fails means that the stream is gone: its signal says so, or is about to.
    this.#out.write(message, this.#finish);
  }

  due(): void {
    this.#call.abort(
      new SlotsError(
        "SLOW_CONSUMER",
        `one message was not taken for ${this.#slowMs / 1000} s; resume when ready`,
        { retryAfterMs: 1000 },
      ),
    );
  }

  close(): void {
    this.#alarms.remove(this);
  }
}
