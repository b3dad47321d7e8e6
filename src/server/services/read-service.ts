import type {
  GetEffectiveAtRequest,
  GetSecretRequest,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { Call } from "../../core/call.ts";
import type { Core } from "../../core/core.ts";
import { type Outcome, readCurrent, readEffectiveAt } from "../../core/reads.ts";
import { parseSecretName } from "../../domain/names.ts";
import { parseSlotNumber } from "../../domain/numbers.ts";
import { decode } from "../adapter.ts";
import { type Frame, ReadEncoder } from "./encode-reads.ts";

export type ReadRpc = "GetSecret" | "GetEffectiveAt";

/** The RPCs that disclose one value, each decided and encoded in one turn of the event loop. */
export class ReadService {
  readonly #core: Core;
  readonly #encoder = new ReadEncoder();

  constructor(core: Core) {
    this.#core = core;
  }

  /** `message`: the request as it was sent. Throws when it is not a valid one. */
  read(rpc: ReadRpc, message: Uint8Array, call: Call): Outcome<Frame> {
    return rpc === "GetSecret"
      ? this.getSecret(decode(SecretService.method.getSecret.input, message), call)
      : this.getEffectiveAt(decode(SecretService.method.getEffectiveAt.input, message), call);
  }

  getSecret({ name }: GetSecretRequest, call: Call): Outcome<Frame> {
    return readCurrent(this.#core, call, parseSecretName(name), (answer) => this.#encoder.current(answer));
  }

  getEffectiveAt({ name, at }: GetEffectiveAtRequest, call: Call): Outcome<Frame> {
    const slot = at === undefined ? undefined : parseSlotNumber(at, "at");
    return readEffectiveAt(this.#core, call, parseSecretName(name), slot, (answer) =>
      this.#encoder.effective(answer),
    );
  }
}
