import { WireError, type WireStream } from "../../../support/wire.ts";
import { brokeOff } from "../ended-how.ts";
import { eventOf, type Message } from "../events.ts";
import type { Recorder, Watch } from "../history.ts";
import { machineMs } from "../machine/heartbeat.ts";
import type { Token } from "../tokens.ts";

export interface Listener {
  token(token: Token): void;
  /** Something was recorded. */
  news(): void;
}

/** A stream that is read, and recorded, until it ends. */
export class OpenStream {
  readonly watch: Watch;
  readonly ended: Promise<void>;
  readonly #messages: WireStream<Message>;
  readonly #recorder: Recorder;
  readonly #listener: Listener;
  #done = false;
  #cancelled = false;
  #brokeOff = false;
  /** Set while the watcher stalls. */
  #gate: PromiseWithResolvers<void> | undefined;

  constructor(watch: Watch, messages: WireStream<Message>, recorder: Recorder, listener: Listener) {
    this.watch = watch;
    this.#messages = messages;
    this.#recorder = recorder;
    this.#listener = listener;
    this.ended = this.#read();
  }

  get done(): boolean {
    return this.#done;
  }

  get stalled(): boolean {
    return this.#gate !== undefined;
  }

  /** It ended without being asked to, and a client would open it again. */
  get brokeOff(): boolean {
    return this.#brokeOff;
  }

  async cancel(): Promise<void> {
    this.#cancelled = true;
    this.#gate?.resolve();
    this.#messages.cancel();
    await this.ended;
  }

  /** Reads nothing more until it flows again. */
  stall(): void {
    if (this.#done || this.#gate !== undefined) return;
    this.#gate = Promise.withResolvers();
    const at = this.#recorder.tick();
    this.#recorder.add({ type: "stall", at, ms: machineMs(), stream: this.watch.stream });
  }

  flow(): void {
    if (this.#gate === undefined) return;
    const at = this.#recorder.tick();
    this.#recorder.add({ type: "flow", at, ms: machineMs(), stream: this.watch.stream });
    this.#gate.resolve();
    this.#gate = undefined;
  }

  async #read(): Promise<void> {
    const { rpc, names, view, allowMissing } = this.watch;
    let [code, reason] = ["OK", ""];
    try {
      for (;;) {
        if (this.#gate !== undefined) await this.#gate.promise;
        const { done, value } = await this.#messages.next();
        if (done || this.#cancelled) break;
        const at = this.#recorder.tick();
        this.#recorder.add({ ...eventOf(value, this.watch), at, ms: machineMs() });
        if (value.resumeToken !== "")
          this.#listener.token({ text: value.resumeToken, at, target: { rpc, names, view, allowMissing } });
        this.#listener.news();
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      [code, reason] = [error.code, error.reason];
    }
    this.#done = true;
    this.#brokeOff = !this.#cancelled && brokeOff({ code, reason });
    this.#recorder.add({
      type: "end",
      at: this.#recorder.tick(),
      ms: machineMs(),
      stream: this.watch.stream,
      code,
      reason,
      cancelled: this.#cancelled,
    });
    this.#listener.news();
  }
}
