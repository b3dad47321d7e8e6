import { crc32 } from "node:zlib";
import { damaged } from "./sqlite-errors.ts";

export type Field = bigint | string | Uint8Array | null;

/** A checksum over a row's fields, each with its kind and length, so that no two rows read the same. */
export function rowSum(...fields: readonly Field[]): bigint {
  let text = "";
  for (const field of fields) {
    if (field === null) text += "n;";
    else if (typeof field === "bigint") text += `i${field};`;
    else if (typeof field === "string") text += `s${field.length}:${field};`;
    else if (field instanceof Uint8Array) text += `b${field.length}:${hex(field)};`;
    // A column that is not there at all: the schema itself is damaged.
    else throw damaged("the store's schema");
  }
  return BigInt(crc32(text));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}
