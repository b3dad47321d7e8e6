import { AutoSlot, SecretService, SlotState } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { Wire } from "../../support/wire.ts";
import { type Answer, type Op, size } from "./model.ts";

const STATE = {
  [SlotState.ENABLED]: "enabled",
  [SlotState.DISABLED]: "disabled",
  [SlotState.DESTROYED]: "destroyed",
};
const stateOf = (state: SlotState | undefined) => STATE[state as keyof typeof STATE] ?? `state ${state}`;

/** The bytes that a value of a history stands for. */
export function bytesOf(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(size(value) === value.length ? value : value.padEnd(size(value), "."));
}

/** The value of a history that bytes are; `corrupt` when they are none. */
export function readValue(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  const value = /^[^.]*/.exec(text)?.[0] ?? "";
  return Buffer.compare(bytesOf(value), bytes) === 0 ? value : `corrupt:${bytes.length}:${value}`;
}

/** Makes one call and answers in the model's terms. */
export async function perform(
  wire: Wire,
  name: string,
  op: Op,
): Promise<{ readonly answer: Answer; readonly epoch: string }> {
  const requestId = ("id" in op ? op.id : undefined) ?? "";
  const { method } = SecretService;
  switch (op.op) {
    case "put": {
      const { slot, state, created, currentSlot, revision, epoch } = await wire.call(method.putSlot, {
        name,
        ...(op.slot === undefined ? { autoSlot: AutoSlot.NEXT_INDEX } : { slot: op.slot }),
        value: bytesOf(op.value),
        overwrite: op.overwrite,
        ...(op.expected === undefined ? {} : { expectedRevision: op.expected }),
        initialState: op.disabled ? SlotState.DISABLED : SlotState.UNSPECIFIED,
        requestId,
      });
      const answer = {
        code: "OK",
        slot,
        state: stateOf(state),
        created,
        current: currentSlot,
        revision,
      } as const;
      return { answer, epoch };
    }
    case "disable":
    case "enable":
    case "destroy": {
      const rpc = { disable: method.disableSlot, enable: method.enableSlot, destroy: method.destroySlot }[
        op.op
      ];
      const { slot, revision, epoch } = await wire.call(rpc, { name, slot: op.slot, requestId });
      const answer = {
        code: "OK",
        slot: slot?.slot,
        state: stateOf(slot?.state),
        slotRevision: slot?.revision,
        revision,
      } as const;
      return { answer, epoch };
    }
    case "update": {
      const request = { name, comment: op.comment, updateMask: { paths: ["comment"] }, requestId };
      const { comment, revision, epoch } = await wire.call(method.updateSecret, request);
      return { answer: { code: "OK", comment, revision }, epoch };
    }
    case "delete": {
      const { revision, epoch } = await wire.call(method.deleteSecret, { name, requestId });
      return { answer: { code: "OK", revision }, epoch };
    }
    case "get": {
      const { slot, value, revision, epoch } = await wire.get(name);
      return { answer: { code: "OK", slot, value: readValue(value), revision }, epoch };
    }
    case "at": {
      const { slot, value, revision, epoch, at } = await wire.at(name, op.at);
      return { answer: { code: "OK", slot, value: readValue(value), revision, at }, epoch };
    }
    case "describe": {
      const secret = await wire.call(method.describeSecret, { name });
      const { comment, enabledCount, disabledCount, destroyedCount, currentSlot, revision, epoch } = secret;
      const counts = [enabledCount, disabledCount, destroyedCount];
      return { answer: { code: "OK", comment, counts, current: currentSlot, revision }, epoch };
    }
    case "list": {
      const { slots, epoch } = await wire.call(method.listSlots, { name });
      const answer = {
        code: "OK",
        slots: slots.map((slot) => [slot.slot, stateOf(slot.state), slot.size]),
        slotRevisions: slots.map(({ revision }) => revision),
      } as const;
      return { answer, epoch };
    }
  }
}
