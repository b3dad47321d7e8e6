import { crc32 } from "node:zlib";

export type Field = bigint | string | Uint8Array | null;

/** A checksum over a row's fields, each with its kind and length, so that no two rows read the same. */
export function rowSum(...fields: readonly Field[]): bigint {
  let text = "";
  for (const field of fields) {
    if (field === null) text += "n;";
    else if (typeof field === "bigint") text += `i${field};`;
    else if (typeof field === "string") text += `s${field.length}:${field};`;
    else
      text += `b${field.length}:${Buffer.from(field.buffer, field.byteOffset, field.length).toString("hex")};`;
  }
  return BigInt(crc32(text));
}
