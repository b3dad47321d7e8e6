import { invalidField } from "./errors.ts";

export const MAX_COMMENT_BYTES = 1024;
export const MAX_LABELS = 64;
export const MAX_LABEL_VALUE_BYTES = 256;
export const MAX_REQUEST_ID_LENGTH = 64;

const LABEL_KEY = /^[a-z0-9._/-]{1,63}$/;
const encoder = new TextEncoder();

export type Labels = Readonly<Record<string, string>>;

export function parseComment(text: string, field = "comment"): string {
  if (encoder.encode(text).length > MAX_COMMENT_BYTES) {
    throw invalidField(field, `must be at most ${MAX_COMMENT_BYTES} bytes`);
  }
  return text;
}

export function parseLabels(labels: Labels, field = "labels"): Labels {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length > MAX_LABELS) throw invalidField(field, `must be at most ${MAX_LABELS} labels`);
  for (const [key, value] of entries) {
    if (!LABEL_KEY.test(key)) {
      throw invalidField(field, "keys must be 1 to 63 characters of a-z 0-9 . _ / -");
    }
    if (encoder.encode(value).length > MAX_LABEL_VALUE_BYTES) {
      throw invalidField(field, `values must be at most ${MAX_LABEL_VALUE_BYTES} bytes`);
    }
  }
  return Object.fromEntries(entries);
}

/** Empty means that none was given. */
export function parseRequestId(text: string): string | undefined {
  if (text === "") return undefined;
  if ([...text].length > MAX_REQUEST_ID_LENGTH) {
    throw invalidField("request_id", `must be 1 to ${MAX_REQUEST_ID_LENGTH} characters`);
  }
  return text;
}
