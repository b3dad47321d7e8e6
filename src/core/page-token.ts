import { createHash } from "node:crypto";
import { invalidField, SlotsError } from "../domain/errors.ts";
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from "./limits.ts";

/** How many entries a page holds: 0 asks for the default, more than the most is the most. */
export function parsePageSize(pageSize: number): number {
  if (pageSize < 0) throw invalidField("page_size", `must be 0 to ${MAX_PAGE_SIZE}`);
  return pageSize === 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
}

const BINDING_BYTES = 12;

/** Where a list goes on, bound to the arguments it was asked with. Grants nothing: each page is authorised anew. */
export function encodePageToken(binding: readonly string[], after: string): string {
  return Buffer.concat([bindingOf(binding, after), Buffer.from(after)]).toString("base64url");
}

/** Undefined for the first page; throws BAD_PAGE_TOKEN for a token of other arguments. */
export function decodePageToken(token: string, binding: readonly string[]): string | undefined {
  if (token === "") return undefined;
  const bytes = Buffer.from(token.slice(0, 1024), "base64url");
  const after = bytes.toString("utf8", BINDING_BYTES);
  if (!bindingOf(binding, after).equals(bytes.subarray(0, BINDING_BYTES))) {
    const rule = "must be the next_page_token of the page before, asked with the same arguments";
    throw new SlotsError("BAD_PAGE_TOKEN", `page_token: ${rule}`, {
      metadata: { field: "page_token" },
      violations: [{ field: "page_token", rule }],
    });
  }
  return after;
}

function bindingOf(binding: readonly string[], after: string): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([...binding, after]))
    .digest()
    .subarray(0, BINDING_BYTES);
}
