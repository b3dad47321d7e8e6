import type * as pb from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { SlotState } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { toDate } from "./secret-version.ts";

export type SlotStateName = "ENABLED" | "DISABLED" | "DESTROYED";

/** What is known of a secret besides its values. */
export type SecretInfo = {
  readonly name: string;
  readonly comment: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createTime: Date | undefined;
  readonly updateTime: Date | undefined;
  /** Changes with every change of the secret. */
  readonly etag: string;
  readonly revision: bigint;
  readonly slotCount: number;
  readonly enabledCount: number;
  readonly disabledCount: number;
  readonly destroyedCount: number;
  /** Undefined when no slot is enabled. */
  readonly currentSlot: bigint | undefined;
};

/** What is known of a slot besides its value. */
export type SlotInfo = {
  readonly slot: bigint;
  readonly state: SlotStateName;
  readonly createTime: Date | undefined;
  readonly updateTime: Date | undefined;
  /** The commit that last changed the slot. */
  readonly revision: bigint;
  /** Bytes of the value; 0 for a destroyed slot. */
  readonly size: number;
};

export function slotStateName(state: SlotState): SlotStateName {
  switch (state) {
    case SlotState.DISABLED:
      return "DISABLED";
    case SlotState.DESTROYED:
      return "DESTROYED";
    default:
      return "ENABLED";
  }
}

export function secretInfo(
  message: pb.SecretMetadata | pb.DescribeSecretResponse | pb.UpdateSecretResponse,
): SecretInfo {
  return {
    name: message.name,
    comment: message.comment,
    labels: message.labels,
    createTime: toDate(message.createTime),
    updateTime: toDate(message.updateTime),
    etag: message.etag,
    revision: message.revision,
    slotCount: message.slotCount,
    enabledCount: message.enabledCount,
    disabledCount: message.disabledCount,
    destroyedCount: message.destroyedCount,
    currentSlot: message.currentSlot,
  };
}

export function slotInfo(message: pb.SlotMetadata): SlotInfo {
  return {
    slot: message.slot ?? 0n,
    state: slotStateName(message.state),
    createTime: toDate(message.createTime),
    updateTime: toDate(message.updateTime),
    revision: message.revision,
    size: message.size,
  };
}
