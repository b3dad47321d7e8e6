import { create } from "@bufbuild/protobuf";
import {
  SecretService,
  WatchSlotsRequestSchema,
  WatchView,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { sleep } from "./backoff.ts";
import { openStream } from "./calls.ts";
import type { Connection } from "./connection.ts";
import { asSlotsError, type SlotsError } from "./errors.ts";
import { Reconnect } from "./reconnect.ts";
import type { AppliedChange, Replica } from "./replica.ts";
import { guarded } from "./silence.ts";

export type ViewName = "ALL_ENABLED" | "CURRENT";

export type WatchLoopHooks = {
  /** The replica is up to date; called with what changed, perhaps nothing. */
  readonly onSynced: (changes: readonly AppliedChange[]) => void;
  readonly onProgress: () => void;
  /** A stream ended; undefined when OK. It is opened again after a wait. */
  readonly onEnded: (error: SlotsError | undefined) => void;
};

/** Keeps one WatchSlots stream going for a replica, through whatever ends it, until it is closed. */
export class WatchLoop {
  readonly #connection: Connection;
  readonly #replica: Replica;
  readonly #hooks: WatchLoopHooks;
  readonly #request: { readonly names: string[]; readonly view: WatchView };
  readonly #abort = new AbortController();
  readonly #reconnect = new Reconnect();
  #running: Promise<void> = Promise.resolve();

  constructor(
    connection: Connection,
    names: readonly string[],
    view: ViewName,
    replica: Replica,
    hooks: WatchLoopHooks,
  ) {
    this.#connection = connection;
    this.#replica = replica;
    this.#hooks = hooks;
    this.#request = { names: [...names], view: WatchView[view] };
  }

  get ageMs(): number | undefined {
    return this.#reconnect.ageMs;
  }

  start(): void {
    this.#running = this.#run(this.#abort.signal);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    let refusedTokens = 0;
    while (!signal.aborted) {
      const error = await this.#stream(signal);
      if (signal.aborted) return;
      if (this.#connection.closed) return this.#hooks.onEnded(error);
      const badToken = error?.reason === "BAD_RESUME_TOKEN" && this.#replica.resumeToken !== "";
      if (badToken) this.#replica.forgetToken();
      refusedTokens = badToken ? refusedTokens + 1 : 0;
      if (refusedTokens === 1) continue;
      this.#hooks.onEnded(error);
      await sleep(this.#reconnect.delayAfter(error), signal);
    }
  }

  /** Follows one stream to its end; the error it ended with, undefined for OK. */
  async #stream(signal: AbortSignal): Promise<SlotsError | undefined> {
    this.#reconnect.opened();
    this.#replica.streamOpened();
    try {
      const request = create(WatchSlotsRequestSchema, {
        ...this.#request,
        allowMissing: true,
        resumeToken: this.#replica.resumeToken,
      });
      const stream = await openStream(this.#connection, SecretService.method.watchSlots, request, signal);
      for await (const message of guarded(stream)) {
        if (signal.aborted) break;
        this.#reconnect.heard();
        const received = this.#replica.receive(message);
        if (received.type === "pending") continue;
        this.#reconnect.caughtUp();
        if (received.type === "synced") this.#hooks.onSynced(received.changes);
        else this.#hooks.onProgress();
      }
      return undefined;
    } catch (error) {
      return asSlotsError(error);
    }
  }
}
