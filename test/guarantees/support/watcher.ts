import { text, type Wire, WireError, type WireStream } from "../../support/wire.ts";
import { currentOf, type Ledger } from "./ledger.ts";

/**
 * Watches one secret across servers that are killed, with the token of the last message, and checks what it is sent:
 * W3, W4, W7 and W8 of each message, W1 and W6 by `agrees` once the writer has stopped.
 */
export class Watcher {
  readonly ledger: Ledger;
  readonly problems: string[] = [];
  #stream: WireStream<unknown> | undefined;
  #token = "";
  #epoch = "";
  /** No state at or below it may come any more. */
  #floor = -1n;
  #state: { slot: bigint; value: string } | "absent" | undefined;
  /** Newest revision that it was told of. */
  revision = 0n;
  /** Revision of each state that it was told. */
  readonly told: bigint[] = [];
  events = 0;
  resumes = 0;
  /** Whether a stream of it goes on. */
  following = false;

  constructor(ledger: Ledger) {
    this.ledger = ledger;
  }

  /** Follows one server until the stream ends, which it says the cause of. */
  async follow(wire: Wire): Promise<string> {
    this.following = true;
    const resumed = this.#token !== "";
    if (resumed) this.resumes += 1;
    const stream = wire.watch(this.ledger.name, { allowMissing: true, resumeToken: this.#token });
    this.#stream = stream;
    try {
      let first = true;
      for await (const message of stream) {
        this.#take(message, resumed, first);
        first = false;
      }
      return "ended";
    } catch (error) {
      return error instanceof WireError ? error.code : String(error);
    } finally {
      this.following = false;
    }
  }

  stop(): void {
    this.#stream?.cancel();
  }

  /** Whether it holds the last state, which is not in doubt now. */
  agrees(): boolean {
    const current = currentOf(this.ledger.known);
    if (this.#state === undefined) return false;
    if (this.#state === "absent" || current === undefined)
      return this.#state === "absent" && current === undefined;
    return this.#state.slot === current.slot && this.#state.value === current.value;
  }

  get held(): string {
    const state = this.#state;
    return typeof state === "object" ? `slot ${state.slot} = ${state.value.slice(0, 60)}` : String(state);
  }

  #take(
    message: Awaited<ReturnType<ReturnType<Wire["watch"]>["take"]>>,
    resumed: boolean,
    first: boolean,
  ): void {
    const { epoch, revision, resumeToken, event } = message;
    this.events += 1;
    if (this.#epoch !== "" && epoch !== this.#epoch) this.#problem(`the epoch changed at ${revision}`);
    this.#epoch = epoch;
    if (resumeToken !== "") this.#token = resumeToken;
    if (revision > this.revision) this.revision = revision;
    switch (event.case) {
      case "current": {
        const { slot = 0n, value } = event.value;
        this.told.push(revision);
        this.#mustRise("current", revision);
        if (!this.ledger.wasOffered(slot, text(value)))
          this.#problem(`W5: nobody put slot ${slot} of ${revision}`);
        this.#state = { slot, value: text(value) };
        return;
      }
      case "absent":
        this.told.push(revision);
        this.#mustRise("absent", revision);
        this.#state = "absent";
        return;
      case "progress":
        if (first && !resumed) this.#problem("W2: a fresh watch began with progress");
        if (revision > this.#floor) this.#floor = revision;
        return;
      case "historyReset":
        this.#problem(`W8: history_reset at ${revision}, though nothing was lost`);
        return;
      default:
        this.#problem(`an event that is not known: ${String(event.case)}`);
    }
  }

  #mustRise(what: string, revision: bigint): void {
    if (revision <= this.#floor) this.#problem(`W3: ${what} of ${revision} after ${this.#floor}`);
    else this.#floor = revision;
  }

  #problem(what: string): void {
    this.problems.push(`watcher of ${this.ledger.name}: ${what}`);
  }
}
