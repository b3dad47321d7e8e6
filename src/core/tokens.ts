import { generateToken, generateTokenId, hashToken, type Token } from "../crypto/tokens.ts";
import { parseGroups, parseTokenPrincipal } from "../domain/access.ts";
import { invalidField, SlotsError } from "../domain/errors.ts";
import type { Revision } from "../domain/numbers.ts";
import type { TokenRecord } from "../storage/records.ts";
import type { Call } from "./call.ts";
import { Change } from "./change.ts";
import type { Core } from "./core.ts";
import { decodePageToken, encodePageToken } from "./page-token.ts";
import { recorded, subjectOfId } from "./recorded.ts";
import type { Page } from "./secrets.ts";

export interface NewToken {
  readonly principal: string;
  readonly groups: readonly string[];
  readonly comment: string;
  /** Unix milliseconds. */
  readonly expireTime: number | undefined;
}

export interface CreatedToken {
  /** Shown this once; only its hash is kept (S5). */
  readonly token: Token;
  readonly record: TokenRecord;
  readonly revision: Revision;
}

const MAX_TOKEN_COMMENT_BYTES = 256;

/** Checks what a token is asked for and makes it. `now`: Unix milliseconds. */
export function makeToken(wanted: NewToken, now: number): { token: Token; record: TokenRecord } {
  const principal = parseTokenPrincipal(wanted.principal);
  const groups = parseGroups(wanted.groups);
  if (Buffer.byteLength(wanted.comment) > MAX_TOKEN_COMMENT_BYTES) {
    throw invalidField("comment", `must be at most ${MAX_TOKEN_COMMENT_BYTES} bytes`);
  }
  if (wanted.expireTime !== undefined && wanted.expireTime <= now) {
    throw invalidField("expire_time", "must be in the future");
  }
  const token = generateToken();
  const record: TokenRecord = {
    tokenId: generateTokenId(),
    hash: hashToken(token),
    principal,
    groups,
    comment: wanted.comment,
    createTime: now,
    expireTime: wanted.expireTime,
    revokeTime: undefined,
  };
  return { token, record };
}

export function createToken(core: Core, call: Call, wanted: NewToken): Promise<CreatedToken> {
  return recorded(core, call, {}, async () => {
    core.authorizer.require(core.opened.sync(), call);
    const { token, record } = makeToken(wanted, core.now());
    const change = new Change(core, call);
    const result = await change.commitDecided(
      { kind: "create-token", token: record },
      { subject: record.tokenId },
    );
    return { token, record, revision: result.revision };
  });
}

export function listTokens(
  core: Core,
  call: Call,
  request: { readonly pageSize: number; readonly pageToken: string },
): Promise<Page<TokenRecord>> {
  return recorded(core, call, {}, async () => {
    core.authorizer.require(core.opened.sync(), call);
    const binding = ["ListTokens"];
    const after = decodePageToken(request.pageToken, binding);
    const { head, tokens } = core.storage.listTokens(after, request.pageSize + 1);
    await core.audit.listed(call);
    const items = tokens.slice(0, request.pageSize);
    const last = tokens.length > request.pageSize ? items.at(-1) : undefined;
    return { head, items, nextPageToken: last === undefined ? "" : encodePageToken(binding, last.tokenId) };
  });
}

export function revokeToken(
  core: Core,
  call: Call,
  tokenId: string,
): Promise<{ readonly record: TokenRecord; readonly revision: Revision }> {
  const about = subjectOfId(tokenId);
  return recorded(core, call, about, async () => {
    core.authorizer.require(core.opened.sync(), call);
    const change = new Change(core, call);
    const result = await change.commitDecided({ kind: "revoke-token", tokenId }, about);
    if (result.token === undefined) {
      throw new SlotsError("TOKEN_NOT_FOUND", "there is no token of that id");
    }
    return { record: result.token, revision: result.revision };
  });
}
