import type {
  WatchSecretRequest,
  WatchSlotsRequest,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { Call, Send } from "../../core/call.ts";
import type { Core } from "../../core/core.ts";
import type { WatchRpc } from "../../core/required-action.ts";
import { watchSecret } from "../../core/watch-secret.ts";
import { watchSlots } from "../../core/watch-slots.ts";
import { parseSecretName } from "../../domain/names.ts";
import { decode } from "../adapter.ts";
import type { Frame } from "./encode-reads.ts";
import { WatchEncoder } from "./encode-watches.ts";
import { parseWatchSlots } from "./parse-secret-requests.ts";

/** The RPCs that follow values, their messages encoded and framed once for all streams that are told the same. */
export class WatchService {
  readonly #core: Core;
  readonly #encoder = new WatchEncoder();

  constructor(core: Core) {
    this.#core = core;
  }

  /** `message`: the request as it was sent. Rejects when it is not a valid one. */
  async watch(rpc: WatchRpc, message: Uint8Array, call: Call, send: Send<Frame>): Promise<void> {
    const { watchSecret: secret, watchSlots: slots } = SecretService.method;
    return rpc === "WatchSecret"
      ? this.watchSecret(decode(secret.input, message), call, send)
      : this.watchSlots(decode(slots.input, message), call, send);
  }

  watchSecret(request: WatchSecretRequest, call: Call, send: Send<Frame>): Promise<void> {
    const { resumeToken, allowMissing } = request;
    const name = parseSecretName(request.name);
    return watchSecret(this.#core, call, { name, resumeToken, allowMissing }, (event, taken) =>
      send(this.#encoder.secret(event), taken),
    );
  }

  watchSlots(request: WatchSlotsRequest, call: Call, send: Send<Frame>): Promise<void> {
    return watchSlots(this.#core, call, parseWatchSlots(request), (event, taken) =>
      send(this.#encoder.slots(event), taken),
    );
  }
}
