import type { SlotNumber } from "./numbers.ts";

export type SlotState = "enabled" | "disabled" | "destroyed";

/** What the two rules look at. */
export interface Slot {
  readonly slot: SlotNumber;
  readonly state: SlotState;
}

/** The rule of GetEffectiveAt: the enabled slot with the largest number at or below `at`. */
export function effectiveAt<S extends Slot>(slots: Iterable<S>, at: SlotNumber): S | undefined {
  let best: S | undefined;
  for (const slot of slots) {
    if (slot.state !== "enabled" || slot.slot > at) continue;
    if (best === undefined || slot.slot > best.slot) best = slot;
  }
  return best;
}

/** The rule of GetSecret and WatchSecret: the enabled slot with the largest number, whatever the clock says. */
export function current<S extends Slot>(slots: Iterable<S>): S | undefined {
  let best: S | undefined;
  for (const slot of slots) {
    if (slot.state !== "enabled") continue;
    if (best === undefined || slot.slot > best.slot) best = slot;
  }
  return best;
}
