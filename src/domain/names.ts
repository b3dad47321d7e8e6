import { invalidField } from "./errors.ts";

declare const brand: unique symbol;

/** A name that was checked once, at the door; code behind it never checks again. */
export type SecretName = string & { readonly [brand]: "SecretName" };

export const MAX_NAME_BYTES = 255;

const RULE =
  "must be 1 to 255 bytes: segments of A-Z a-z 0-9 . _ - joined by '/', none empty, none '.' or '..'";

/** Every character allowed is ASCII, so bytes and UTF-16 units count the same and a look-alike letter fails. */
const SHAPE = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/;

export function isSecretName(text: string): text is SecretName {
  return text.length <= MAX_NAME_BYTES && SHAPE.test(text) && !DOT_SEGMENT.test(text);
}

/** Names are refused when wrong, never normalised: two spellings are never one secret. */
export function parseSecretName(text: string, field = "name"): SecretName {
  if (!isSecretName(text)) throw invalidField(field, RULE);
  return text;
}
