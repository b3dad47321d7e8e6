import { isDeepStrictEqual } from "node:util";
import type { Answer } from "./model.ts";

/** A reason that the model leaves open agrees with any. */
export function agrees(answer: Answer, expected: Answer): boolean {
  if (
    expected.code !== "OK" &&
    expected.code === answer.code &&
    "reason" in expected &&
    expected.reason === ""
  )
    return true;
  return isDeepStrictEqual(answer, expected);
}

/** A value of a history in a report. */
export const show = (value: unknown): string =>
  JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}n` : v instanceof Map ? [...v] : v));
