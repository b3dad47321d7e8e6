import { create, toBinary } from "@bufbuild/protobuf";
import { GetSecretResponseSchema } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { EffectiveAnswer, ReadAnswer } from "../../core/reads.ts";
import { timestamp } from "../convert.ts";

/** A message behind gRPC's prefix: one byte that says "not compressed", and its length in four. Shared: never written to. */
export type Frame = Buffer;
export const PREFIX_BYTES = 5;

interface Shared {
  readonly revision: bigint;
  readonly epoch: string;
  readonly frame: Frame;
}

/** The tag of `at` in GetEffectiveAtResponse: field 8, a varint. */
const AT_TAG = 8 << 3;
/** Its longest encoding, the tag included. */
const AT_BYTES = 11;

/**
 * Encodes a value once for as long as it answers at the same revision, which is until the secret changes.
 * GetEffectiveAtResponse has the fields of GetSecretResponse under the same numbers, and `at` after them, so its
 * bytes are those of the other with one field more; a test compares them with what the library encodes.
 */
export class ReadEncoder {
  readonly #shared = new WeakMap<object, Shared>();

  current(answer: ReadAnswer): Frame {
    const known = this.#shared.get(answer.value);
    if (known?.revision === answer.revision && known.epoch === answer.epoch) return known.frame;
    const message = toBinary(GetSecretResponseSchema, create(GetSecretResponseSchema, fieldsOf(answer)));
    const frame = frameOf(message);
    this.#shared.set(answer.value, { revision: answer.revision, epoch: answer.epoch, frame });
    return frame;
  }

  effective(answer: EffectiveAnswer): Frame {
    const common = this.current(answer);
    const frame = Buffer.allocUnsafe(common.length + AT_BYTES);
    frame.set(common);
    let end = common.length;
    frame[end++] = AT_TAG;
    let rest = answer.at as bigint;
    for (; rest > 0x7fn; rest >>= 7n) frame[end++] = Number(rest & 0x7fn) | 0x80;
    frame[end++] = Number(rest);
    frame.writeUInt32BE(end - PREFIX_BYTES, 1);
    return frame.subarray(0, end);
  }
}

export function frameOf(message: Uint8Array): Frame {
  const frame = Buffer.alloc(PREFIX_BYTES + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** What a frame carries, without its prefix. */
export function messageIn(frame: Frame): Uint8Array {
  return frame.subarray(PREFIX_BYTES);
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
