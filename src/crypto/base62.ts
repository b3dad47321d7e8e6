import { randomBytes } from "node:crypto";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The number in base 62, with leading zeros up to the width. */
export function base62(value: bigint, width: number): string {
  let text = "";
  for (let rest = value; rest > 0n; rest /= 62n) text = DIGITS[Number(rest % 62n)]! + text;
  return text.padStart(width, "0");
}

/** Each character drawn evenly: a byte of 248 or more is thrown away. */
export function randomBase62(width: number): string {
  let text = "";
  while (text.length < width) {
    for (const byte of randomBytes(width)) {
      if (byte < 248 && text.length < width) text += DIGITS[byte % 62]!;
    }
  }
  return text;
}
