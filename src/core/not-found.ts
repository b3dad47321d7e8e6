import { SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import type { SlotNumber } from "../domain/numbers.ts";

export function secretNotFound(name: SecretName): SlotsError {
  return new SlotsError("SECRET_NOT_FOUND", `there is no secret '${name}'`, { metadata: { name } });
}

export function noEffectiveSlot(name: SecretName, at?: SlotNumber): SlotsError {
  return at === undefined
    ? new SlotsError("NO_EFFECTIVE_SLOT", `secret '${name}' has no enabled slot`, { metadata: { name } })
    : new SlotsError("NO_EFFECTIVE_SLOT", `secret '${name}' has no enabled slot at or below ${at}`, {
        metadata: { name, at: String(at) },
      });
}

export function slotNotFound(name: SecretName, slot: SlotNumber): SlotsError {
  return new SlotsError("SLOT_NOT_FOUND", `secret '${name}' has no slot ${slot}`, {
    metadata: { name, slot: String(slot) },
  });
}
