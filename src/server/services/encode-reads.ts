import { create, toBinary } from "@bufbuild/protobuf";
import { GetSecretResponseSchema } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { EffectiveAnswer, ReadAnswer } from "../../core/reads.ts";
import type { Encoded } from "../adapter.ts";
import { timestamp } from "../convert.ts";

interface Shared {
  readonly revision: bigint;
  readonly epoch: string;
  readonly bytes: Encoded;
}

/** The tag of `at` in GetEffectiveAtResponse: field 8, a varint. */
const AT_TAG = 8 << 3;

/**
 * Encodes a value once for as long as it answers at the same revision, which is until the secret changes.
 * GetEffectiveAtResponse has the fields of GetSecretResponse under the same numbers, and `at` after them, so its
 * bytes are those of the other with one field more; a test compares them with what the library encodes.
 */
export class ReadEncoder {
  readonly #shared = new WeakMap<object, Shared>();

  current(answer: ReadAnswer): Encoded {
    const known = this.#shared.get(answer.value);
    if (known?.revision === answer.revision && known.epoch === answer.epoch) return known.bytes;
    const bytes = toBinary(GetSecretResponseSchema, create(GetSecretResponseSchema, fieldsOf(answer)));
    this.#shared.set(answer.value, { revision: answer.revision, epoch: answer.epoch, bytes });
    return bytes;
  }

  effective(answer: EffectiveAnswer): Encoded {
    const common = this.current(answer);
    const bytes = Buffer.allocUnsafe(common.length + 11);
    bytes.set(common);
    let end = common.length;
    bytes[end++] = AT_TAG;
    let rest = answer.at as bigint;
    for (; rest > 0x7fn; rest >>= 7n) bytes[end++] = Number(rest & 0x7fn) | 0x80;
    bytes[end++] = Number(rest);
    return bytes.subarray(0, end);
  }
}

function fieldsOf({ name, slot, value, revision, epoch }: ReadAnswer) {
  return {
    name,
    slot: slot.slot,
    value: value.reveal() as Uint8Array<ArrayBuffer>,
    crc32c: value.crc32c,
    createTime: timestamp(slot.createTime),
    revision,
    epoch,
  };
}
