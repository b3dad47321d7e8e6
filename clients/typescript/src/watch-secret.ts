import { create } from "@bufbuild/protobuf";
import {
  AbsentReason,
  SecretService,
  WatchSecretRequestSchema,
  type WatchSecretResponse,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { sleep } from "./backoff.ts";
import { openStream } from "./calls.ts";
import type { Connection } from "./connection.ts";
import { asSlotsError, type Code, type SlotsError } from "./errors.ts";
import { Reconnect } from "./reconnect.ts";
import { receivedVersion, type SecretVersion } from "./secret-version.ts";
import { guarded } from "./silence.ts";

export type AbsentReasonName = "NOT_EXISTING" | "NO_ENABLED_SLOT";

/** One event of {@link Client.watchSecret}. Revisions rise within an epoch. */
export type WatchEvent =
  | { readonly type: "current"; readonly version: SecretVersion }
  | {
      readonly type: "absent";
      readonly reason: AbsentReasonName;
      readonly revision: bigint;
      readonly epoch: string;
    }
  /** What was seen so far is of another history; the state as it is now follows. */
  | { readonly type: "history_reset"; readonly epoch: string };

export type WatchOptions = {
  /** Ends the watch, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Begin with `absent` instead of failing NOT_FOUND when there is nothing to show. */
  readonly allowMissing?: boolean | undefined;
  /** A token of an earlier watch of this secret. */
  readonly resumeToken?: string | undefined;
  /** Called with the newest token after each message. */
  readonly onResumeToken?: ((token: string) => void) | undefined;
  /** Called when the stream ended and will be opened again after `delayMs`. */
  readonly onDisconnect?: ((error: SlotsError | undefined, delayMs: number) => void) | undefined;
  /** Called when a stream has delivered its first message. */
  readonly onConnect?: (() => void) | undefined;
};

/** No waiting makes these work: the watch ends with them. */
const FINAL: ReadonlySet<Code> = new Set([
  "NOT_FOUND",
  "INVALID_ARGUMENT",
  "PERMISSION_DENIED",
  "UNIMPLEMENTED",
  "DATA_LOSS",
]);

export function absentReasonName(reason: AbsentReason): AbsentReasonName {
  return reason === AbsentReason.NO_ENABLED_SLOT ? "NO_ENABLED_SLOT" : "NOT_EXISTING";
}

export async function* watchSecret(
  connection: Connection,
  name: string,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, undefined> {
  const { signal } = options;
  const reconnect = new Reconnect();
  const order = new Order();
  let token = options.resumeToken ?? "";
  let unauthenticated = 0;
  while (!signal?.aborted) {
    let ended: SlotsError | undefined;
    try {
      const request = create(WatchSecretRequestSchema, {
        name,
        resumeToken: token,
        allowMissing: options.allowMissing ?? false,
      });
      reconnect.opened();
      const stream = await openStream(connection, SecretService.method.watchSecret, request, signal);
      let first = true;
      for await (const message of guarded(stream)) {
        unauthenticated = 0;
        reconnect.heard();
        reconnect.caughtUp();
        if (first) options.onConnect?.();
        first = false;
        const event = eventOf(message);
        if (event !== undefined && order.admits(message, event)) yield event;
        // Kept only once the consumer came back for more: what it has not seen is not skipped.
        if (message.resumeToken !== "") {
          token = message.resumeToken;
          options.onResumeToken?.(token);
        }
      }
    } catch (error) {
      ended = asSlotsError(error);
    }
    if (signal?.aborted || connection.closed) return;
    if (ended?.reason === "BAD_RESUME_TOKEN" && token !== "") {
      token = "";
      continue;
    }
    if (ended?.code === "UNAUTHENTICATED" && ++unauthenticated > 1) throw ended;
    if (ended !== undefined && FINAL.has(ended.code)) throw ended;
    const delay = reconnect.delayAfter(ended);
    options.onDisconnect?.(ended, delay);
    await sleep(delay, signal);
  }
}

function eventOf(message: WatchSecretResponse): WatchEvent | undefined {
  const { epoch, revision, event } = message;
  switch (event.case) {
    case "current":
      return { type: "current", version: receivedVersion({ ...event.value, epoch, revision }) };
    case "absent":
      return { type: "absent", reason: absentReasonName(event.value.reason), revision, epoch };
    case "historyReset":
      return { type: "history_reset", epoch };
    default:
      return undefined;
  }
}

/** Lets through what is newer than what was seen (W3, W4, W14). */
class Order {
  #epoch: string | undefined;
  #revision = 0n;
  #any = false;

  admits({ epoch, revision }: WatchSecretResponse, event: WatchEvent): boolean {
    if (event.type === "history_reset") {
      this.#epoch = undefined;
      return true;
    }
    if (this.#any && epoch === this.#epoch && revision <= this.#revision) return false;
    this.#any = true;
    this.#epoch = epoch;
    this.#revision = revision;
    return true;
  }
}
