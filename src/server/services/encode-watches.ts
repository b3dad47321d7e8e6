import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  WatchSecretResponseSchema,
  WatchSlotsResponseSchema,
  AbsentReason as WireReason,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { AbsentReason, WatchSecretEvent, WatchSlotsEvent } from "../../core/watch-events.ts";
import type { SecretValue } from "../../domain/secret-value.ts";
import type { SlotRow } from "../../storage/records.ts";
import { timestamp } from "../convert.ts";
import { type Frame, frameOf } from "./encode-reads.ts";

const WIRE_REASON = {
  "not-existing": WireReason.NOT_EXISTING,
  "no-enabled-slot": WireReason.NO_ENABLED_SLOT,
} as const satisfies Record<AbsentReason, WireReason>;

interface Shared {
  readonly revision: bigint;
  readonly resumeToken: string;
  readonly frame: Frame;
}

/** Encodes watch events: one of WatchSecret once for all the streams that are given it, a slot once for each value. */
export class WatchEncoder {
  readonly #events = new WeakMap<WatchSecretEvent, Frame>();
  readonly #slots = new WeakMap<SecretValue, Shared>();

  secret(message: WatchSecretEvent): Frame {
    const known = this.#events.get(message);
    if (known !== undefined) return known;
    const { epoch, revision, resumeToken, event } = message;
    const frame = frameOf(
      toBinary(
        WatchSecretResponseSchema,
        create(WatchSecretResponseSchema, { epoch, revision, resumeToken, event: secretEvent(event) }),
      ),
    );
    this.#events.set(message, frame);
    return frame;
  }

  slots(message: WatchSlotsEvent): Frame {
    const { epoch, revision, resumeToken = "", event } = message;
    const encode = () =>
      frameOf(
        toBinary(
          WatchSlotsResponseSchema,
          create(WatchSlotsResponseSchema, { epoch, revision, resumeToken, event: slotsEvent(event) }),
        ),
      );
    return event.kind === "slot" ? shared(this.#slots, event.value, revision, resumeToken, encode) : encode();
  }
}

function shared(
  known: WeakMap<SecretValue, Shared>,
  value: SecretValue,
  revision: bigint,
  resumeToken: string,
  encode: () => Frame,
): Frame {
  const last = known.get(value);
  if (last?.revision === revision && last.resumeToken === resumeToken) return last.frame;
  const frame = encode();
  known.set(value, { revision, resumeToken, frame });
  return frame;
}

type SecretInit = NonNullable<MessageInitShape<typeof WatchSecretResponseSchema>["event"]>;
type SlotsInit = NonNullable<MessageInitShape<typeof WatchSlotsResponseSchema>["event"]>;

function secretEvent(event: WatchSecretEvent["event"]): SecretInit {
  switch (event.kind) {
    case "current":
      return { case: "current", value: { name: event.name, ...valueFields(event.slot, event.value) } };
    case "absent":
      return { case: "absent", value: { reason: WIRE_REASON[event.reason] } };
    case "progress":
      return { case: "progress", value: {} };
    case "history-reset":
      return { case: "historyReset", value: {} };
    default:
      return event satisfies never;
  }
}

function slotsEvent(event: WatchSlotsEvent["event"]): SlotsInit {
  switch (event.kind) {
    case "begin":
      return { case: "begin", value: { name: event.name } };
    case "slot":
      return { case: "slot", value: { name: event.name, ...valueFields(event.slot, event.value) } };
    case "removed":
      return { case: "removed", value: { name: event.name, slot: event.slot } };
    case "absent":
      return { case: "absent", value: { name: event.name, reason: WIRE_REASON[event.reason] } };
    case "failed":
      return { case: "failed", value: { name: event.name, slot: event.slot } };
    case "synced":
      return { case: "synced", value: {} };
    case "progress":
      return { case: "progress", value: {} };
    case "history-reset":
      return { case: "historyReset", value: {} };
    default:
      return event satisfies never;
  }
}

function valueFields(slot: SlotRow, value: SecretValue) {
  return {
    slot: slot.slot,
    value: value.reveal() as Uint8Array<ArrayBuffer>,
    crc32c: value.crc32c,
    createTime: timestamp(slot.createTime),
  };
}
