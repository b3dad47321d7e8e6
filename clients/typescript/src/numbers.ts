import { invalidArgument } from "./errors.ts";

/** A slot, revision or point on the slot axis from the caller: 0 ... 2^63-1. */
export type NumberInput = bigint | number;

export const MAX_NUMBER = 2n ** 63n - 1n;

/** The exact number; anything negative, fractional, rounded or too large is refused, never wrapped. */
export function toNumber64(input: NumberInput, what: string): bigint {
  if (typeof input === "number") {
    if (!Number.isInteger(input)) throw invalidArgument(`${what} must be an integer`);
    if (!Number.isSafeInteger(input)) throw invalidArgument(`${what} is past 2^53-1: give it as a bigint`);
    input = BigInt(input);
  } else if (typeof input !== "bigint") {
    throw invalidArgument(`${what} must be a bigint or a number`);
  }
  if (input < 0n || input > MAX_NUMBER) throw invalidArgument(`${what} must be 0 to 2^63-1`);
  return input;
}
