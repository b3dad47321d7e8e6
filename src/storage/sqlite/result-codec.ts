import type { CommitResult } from "../commit.ts";
import { damaged } from "./sqlite-errors.ts";

/** A result as text, for repeated requests: JSON, with whole numbers and bytes under keys that no label can have. */
export function encodeResult(result: CommitResult): string {
  return JSON.stringify(result, (_key, value: unknown) => {
    if (typeof value === "bigint") return { $int: value.toString() };
    if (value instanceof Uint8Array) return { $hex: Buffer.from(value).toString("hex") };
    // A Buffer's own toJSON has run by now.
    if (isBufferJson(value)) return { $hex: Buffer.from(value.data).toString("hex") };
    return value;
  });
}

export function decodeResult(text: string): CommitResult {
  try {
    const result: unknown = JSON.parse(text, (_key, value: unknown) => {
      if (typeof value !== "object" || value === null) return value;
      if ("$int" in value) return BigInt(value.$int as string);
      if ("$hex" in value) return new Uint8Array(Buffer.from(value.$hex as string, "hex"));
      return value;
    });
    if (isResult(result)) return result;
  } catch (error) {
    throw damaged("the record of a request", error);
  }
  throw damaged("the record of a request");
}

function isResult(value: unknown): value is CommitResult {
  if (typeof value !== "object" || value === null) return false;
  return (
    "epoch" in value &&
    typeof value.epoch === "string" &&
    "revision" in value &&
    typeof value.revision === "bigint"
  );
}

function isBufferJson(value: unknown): value is { readonly data: readonly number[] } {
  if (typeof value !== "object" || value === null || !("type" in value) || !("data" in value)) return false;
  return value.type === "Buffer" && Array.isArray(value.data);
}
