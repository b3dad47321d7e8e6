import { invalidField } from "./errors.ts";

declare const brand: unique symbol;

/** A slot number, 0 to 2^63-1: an index or a Unix time in seconds. */
export type SlotNumber = bigint & { readonly [brand]: "SlotNumber" };

/** A count of committed changes of the whole store, 0 to 2^63-1. */
export type Revision = bigint & { readonly [brand]: "Revision" };

export const MAX_NUMBER = 2n ** 63n - 1n;
export const NO_REVISION = 0n as Revision;

const RULE = "must be 0 to 9223372036854775807";

function inRange(value: bigint, field: string): bigint {
  if (value < 0n || value > MAX_NUMBER) throw invalidField(field, RULE);
  return value;
}

export function parseSlotNumber(value: bigint, field = "slot"): SlotNumber {
  return inRange(value, field) as SlotNumber;
}

export function parseRevision(value: bigint, field = "expected_revision"): Revision {
  return inRange(value, field) as Revision;
}

/** The slot that a moment falls on: whole Unix seconds, rounded down. */
export function slotOfTime(unixMillis: number): SlotNumber {
  return BigInt(Math.floor(unixMillis / 1000)) as SlotNumber;
}
