import { createHash } from "node:crypto";
import { invalidField, SlotsError } from "../domain/errors.ts";
import { MAX_NUMBER, type SlotNumber } from "../domain/numbers.ts";
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from "./limits.ts";

/** How many entries a page holds: 0 asks for the default, more than the most is the most. */
export function parsePageSize(pageSize: number): number {
  if (pageSize < 0) throw invalidField("page_size", `must be 0 to ${MAX_PAGE_SIZE}`);
  return pageSize === 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
}

const BINDING_BYTES = 12;
/** A token of the longest name is a third of it. */
const MAX_TOKEN_LENGTH = 1024;

/** Where a list goes on, bound to the arguments it was asked with. Grants nothing: each page is authorised anew. */
export function encodePageToken(binding: readonly string[], after: string): string {
  return Buffer.concat([bindingOf(binding, after), Buffer.from(after)]).toString("base64url");
}

/** Undefined for the first page; throws BAD_PAGE_TOKEN for what was not made by `encodePageToken` for the same arguments. */
export function decodePageToken(token: string, binding: readonly string[]): string | undefined {
  if (token === "") return undefined;
  if (token.length > MAX_TOKEN_LENGTH) throw badPageToken();
  const after = Buffer.from(token, "base64url").toString("utf8", BINDING_BYTES);
  if (encodePageToken(binding, after) !== token) throw badPageToken();
  return after;
}

/** Where a list of slots goes on. Anybody can make a token that passes its check: what it holds is input like any other. */
export function slotAfter(after: string): SlotNumber {
  const slot = /^(?:0|[1-9][0-9]{0,18})$/.test(after) ? BigInt(after) : undefined;
  if (slot === undefined || slot > MAX_NUMBER) throw badPageToken();
  return slot as SlotNumber;
}

function badPageToken(): SlotsError {
  const rule = "must be the next_page_token of the page before, asked with the same arguments";
  return new SlotsError("BAD_PAGE_TOKEN", `page_token: ${rule}`, {
    metadata: { field: "page_token" },
    violations: [{ field: "page_token", rule }],
  });
}

function bindingOf(binding: readonly string[], after: string): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([...binding, after]))
    .digest()
    .subarray(0, BINDING_BYTES);
}
