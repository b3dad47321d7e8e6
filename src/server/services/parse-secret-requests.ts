import {
  AutoSlot,
  type DisableSlotRequest,
  SlotState,
  WatchView,
  type PutSlotRequest as WirePutSlot,
  type UpdateSecretRequest as WireUpdateSecret,
  type WatchSlotsRequest as WireWatchSlots,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { Limits } from "../../core/limits.ts";
import { MAX_WATCH_NAMES } from "../../core/limits.ts";
import type { PutSlotRequest, SlotChoice } from "../../core/put-slot.ts";
import type { UpdateSecretRequest } from "../../core/secrets.ts";
import type { SlotStateRequest } from "../../core/slot-states.ts";
import type { WatchSlotsRequest } from "../../core/watch-slots.ts";
import { crc32c } from "../../crypto/crc32c.ts";
import { invalidField } from "../../domain/errors.ts";
import { parseComment, parseLabels, parseRequestId } from "../../domain/metadata.ts";
import { parseSecretName, type SecretName } from "../../domain/names.ts";
import { parseRevision, parseSlotNumber } from "../../domain/numbers.ts";
import { SecretValue } from "../../domain/secret-value.ts";

export function parsePutSlot(limits: Limits, request: WirePutSlot): PutSlotRequest {
  const name = parseSecretName(request.name);
  const choice = parseChoice(request);
  if (request.value === undefined) throw invalidField("value", "must be given; an empty value is a value");
  if (request.value.length > limits.maxValueBytes) {
    throw invalidField("value", `must be at most ${limits.maxValueBytes} bytes`);
  }
  const checksum = crc32c(request.value);
  if (request.crc32c !== undefined && request.crc32c !== checksum) {
    throw invalidField("crc32c", "must be the CRC32C of the value; the value was damaged on its way");
  }
  return {
    name,
    choice,
    value: new SecretValue(request.value, checksum),
    overwrite: request.overwrite,
    expectedRevision:
      request.expectedRevision === undefined ? undefined : parseRevision(request.expectedRevision),
    requestId: parseRequestId(request.requestId),
    state: parseInitialState(request.initialState),
  };
}

function parseChoice({ slot, autoSlot }: WirePutSlot): SlotChoice {
  if (slot !== undefined && autoSlot !== AutoSlot.UNSPECIFIED) {
    throw invalidField("slot", "must not be given together with auto_slot");
  }
  if (slot !== undefined) return { kind: "number", slot: parseSlotNumber(slot) };
  switch (autoSlot) {
    case AutoSlot.NEXT_INDEX:
      return { kind: "next-index" };
    case AutoSlot.NOW:
      return { kind: "now" };
    case AutoSlot.UNSPECIFIED:
      throw invalidField("slot", "must be given, or auto_slot");
    default:
      throw invalidField("auto_slot", "must be AUTO_SLOT_NEXT_INDEX or AUTO_SLOT_NOW");
  }
}

function parseInitialState(state: SlotState): "enabled" | "disabled" {
  switch (state) {
    case SlotState.UNSPECIFIED:
    case SlotState.ENABLED:
      return "enabled";
    case SlotState.DISABLED:
      return "disabled";
    default:
      throw invalidField("initial_state", "must be SLOT_STATE_ENABLED or SLOT_STATE_DISABLED");
  }
}

type WireSlotState = Pick<DisableSlotRequest, "name" | "slot" | "etag" | "requestId">;

export function parseSlotState(request: WireSlotState, state: SlotStateRequest["state"]): SlotStateRequest {
  const name = parseSecretName(request.name);
  if (request.slot === undefined) throw invalidField("slot", "must be given");
  const slot = parseSlotNumber(request.slot);
  return { name, slot, state, etag: request.etag, requestId: parseRequestId(request.requestId) };
}

export function parseUpdateSecret(request: WireUpdateSecret): UpdateSecretRequest {
  const name = parseSecretName(request.name);
  const paths = new Set(request.updateMask?.paths ?? []);
  if (paths.size === 0) throw invalidField("update_mask", "must name 'comment', 'labels' or both");
  for (const path of paths) {
    if (path !== "comment" && path !== "labels")
      throw invalidField("update_mask", "must name only 'comment' and 'labels'");
  }
  return {
    name,
    comment: paths.has("comment") ? parseComment(request.comment) : undefined,
    labels: paths.has("labels") ? parseLabels(request.labels) : undefined,
    etag: request.etag,
    requestId: parseRequestId(request.requestId),
  };
}

export function parseWatchSlots(request: WireWatchSlots): WatchSlotsRequest {
  if (request.names.length === 0 || request.names.length > MAX_WATCH_NAMES) {
    throw invalidField("names", `must be 1 to ${MAX_WATCH_NAMES} names`);
  }
  const seen = new Set<SecretName>();
  const names = request.names.map((text, index) => {
    const name = parseSecretName(text, `names[${index}]`);
    if (seen.has(name)) throw invalidField(`names[${index}]`, "must not be there twice");
    seen.add(name);
    return name;
  });
  return {
    names,
    resumeToken: request.resumeToken,
    allowMissing: request.allowMissing,
    view: parseView(request.view),
  };
}

function parseView(view: WatchView): WatchSlotsRequest["view"] {
  switch (view) {
    case WatchView.UNSPECIFIED:
    case WatchView.ALL_ENABLED:
      return "all-enabled";
    case WatchView.CURRENT:
      return "current";
    default:
      throw invalidField("view", "must be WATCH_VIEW_CURRENT or WATCH_VIEW_ALL_ENABLED");
  }
}
