import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import {
  Action as WireAction,
  IdentityMethod as WireMethod,
} from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import {
  type SlotMetadataSchema,
  SlotState as WireState,
} from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { etagOf } from "../core/etag.ts";
import type { Action, IdentityMethod } from "../domain/access.ts";
import { invalidField } from "../domain/errors.ts";
import type { SlotState } from "../domain/slots.ts";
import type { SecretMeta, SlotMeta } from "../storage/records.ts";

/** Mappings between the wire and the domain; each is total, so a new member does not compile until it is mapped. */

export const WIRE_STATE = {
  enabled: WireState.ENABLED,
  disabled: WireState.DISABLED,
  destroyed: WireState.DESTROYED,
} as const satisfies Record<SlotState, WireState>;

export const WIRE_ACTION = {
  read: WireAction.READ,
  watch: WireAction.WATCH,
  list: WireAction.LIST,
  write: WireAction.WRITE,
  manage: WireAction.MANAGE,
  admin: WireAction.ADMIN,
} as const satisfies Record<Action, WireAction>;

const ACTION_OF = new Map<WireAction, Action>(
  Object.entries(WIRE_ACTION).map(([action, wire]) => [wire, action as Action]),
);

export function parseAction(wire: WireAction, field: string): Action {
  const action = ACTION_OF.get(wire);
  if (action === undefined) throw invalidField(field, "must be one of the actions of the Action enum");
  return action;
}

export const WIRE_METHOD = {
  token: WireMethod.TOKEN,
  certificate: WireMethod.CERTIFICATE,
  jwt: WireMethod.JWT,
} as const satisfies Record<IdentityMethod, WireMethod>;

/** Unix milliseconds to a timestamp. */
export function timestamp(
  unixMillis: number,
): MessageInitShape<typeof import("@bufbuild/protobuf/wkt").TimestampSchema> {
  const seconds = Math.floor(unixMillis / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round(unixMillis - seconds * 1000) * 1_000_000 };
}

/** A timestamp to Unix milliseconds; undefined stays so. */
export function millisOf(time: Timestamp | undefined, field: string): number | undefined {
  if (time === undefined) return undefined;
  const millis = Number(time.seconds) * 1000 + Math.floor(time.nanos / 1_000_000);
  if (!Number.isSafeInteger(millis) || millis < 0 || time.nanos < 0 || time.nanos > 999_999_999) {
    throw invalidField(field, "must be a time between 1970 and the year 287396");
  }
  return millis;
}

/** The fields that SecretMetadata, DescribeSecretResponse and UpdateSecretResponse share. */
export function secretMetadata(epoch: string, secret: SecretMeta) {
  return {
    name: secret.name,
    comment: secret.comment,
    labels: { ...secret.labels },
    createTime: timestamp(secret.createTime),
    updateTime: timestamp(secret.updateTime),
    etag: etagOf(epoch, secret.revision),
    revision: secret.revision,
    slotCount: secret.slotCount,
    enabledCount: secret.enabledCount,
    disabledCount: secret.disabledCount,
    destroyedCount: secret.destroyedCount,
    ...(secret.currentSlot === undefined ? {} : { currentSlot: secret.currentSlot }),
  };
}

export function slotMetadata(slot: SlotMeta): MessageInitShape<typeof SlotMetadataSchema> {
  return {
    slot: slot.slot,
    state: WIRE_STATE[slot.state],
    createTime: timestamp(slot.createTime),
    updateTime: timestamp(slot.updateTime),
    revision: slot.revision,
    size: slot.size,
  };
}
