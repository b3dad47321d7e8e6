import { create, toBinary } from "@bufbuild/protobuf";
import {
  GetEffectiveAtResponseSchema,
  GetSecretResponseSchema,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { EffectiveAnswer, ReadAnswer } from "../../core/reads.ts";
import type { Encoded } from "../adapter.ts";
import { timestamp } from "../convert.ts";

/**
 * Encodes read answers; that of the current value once for as long as the same opened value answers at the same
 * revision, which is until the secret changes.
 */
export class ReadEncoder {
  readonly #current = new WeakMap<
    object,
    { readonly revision: bigint; readonly epoch: string; readonly bytes: Encoded }
  >();

  current(answer: ReadAnswer): Encoded {
    const known = this.#current.get(answer.value);
    if (known !== undefined && known.revision === answer.revision && known.epoch === answer.epoch)
      return known.bytes;
    const bytes = toBinary(GetSecretResponseSchema, create(GetSecretResponseSchema, fieldsOf(answer)));
    this.#current.set(answer.value, { revision: answer.revision, epoch: answer.epoch, bytes });
    return bytes;
  }

  effective(answer: EffectiveAnswer): Encoded {
    const message = create(GetEffectiveAtResponseSchema, { ...fieldsOf(answer), at: answer.at });
    return toBinary(GetEffectiveAtResponseSchema, message);
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
