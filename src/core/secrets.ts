import type { Labels } from "../domain/metadata.ts";
import type { SecretName } from "../domain/names.ts";
import type { CommitResult } from "../storage/commit.ts";
import type { Head, SecretMeta, SlotMeta } from "../storage/records.ts";
import type { Call } from "./call.ts";
import { Change } from "./change.ts";
import type { Core } from "./core.ts";
import { revisionOfEtag } from "./etag.ts";
import { MAX_PAGE_BYTES } from "./limits.ts";
import { secretNotFound } from "./not-found.ts";
import { decodePageToken, encodePageToken, slotAfter } from "./page-token.ts";
import { recorded } from "./recorded.ts";

export interface Page<T> {
  readonly head: Head;
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Metadata in byte order of names, of those only that the caller may list. */
export function listSecrets(
  core: Core,
  call: Call,
  request: { readonly prefix: string; readonly pageSize: number; readonly pageToken: string },
): Promise<Page<SecretMeta>> {
  return recorded(core, call, {}, async () => {
    const { prefix, pageSize } = request;
    const head = core.opened.sync();
    const ranges = core.authorizer.listRanges(head, call, prefix);
    const binding = ["ListSecrets", prefix];
    const after = decodePageToken(request.pageToken, binding);
    const items: SecretMeta[] = [];
    let bytes = 0;
    for (const range of ranges) {
      // U+0000 is below every character of a name: what follows `after`, and not `after` itself.
      const from = after !== undefined && after >= range.from ? `${after}\u0000` : range.from;
      if (range.until !== undefined && from >= range.until) continue;
      const rest = { from, ...(range.until === undefined ? {} : { until: range.until }) };
      for (const secret of core.storage.listSecrets(rest, pageSize + 1 - items.length).secrets) {
        bytes += sizeOf(secret);
        const last = items.at(-1);
        if (last !== undefined && (items.length === pageSize || bytes > MAX_PAGE_BYTES)) {
          await core.audit.listed(call);
          return { head, items, nextPageToken: encodePageToken(binding, last.name) };
        }
        items.push(secret);
      }
    }
    await core.audit.listed(call);
    return { head, items, nextPageToken: "" };
  });
}

export interface Description {
  readonly head: Head;
  readonly secret: SecretMeta;
}

export function describeSecret(core: Core, call: Call, name: SecretName): Promise<Description> {
  return recorded(core, call, { name }, async () => {
    core.authorizer.require(core.opened.sync(), call, name);
    const { head, secret } = core.storage.readSecret(name);
    if (secret === undefined) throw secretNotFound(name);
    await core.audit.listed(call, name);
    return { head, secret };
  });
}

/** Metadata of slots in rising order of their numbers. */
export function listSlots(
  core: Core,
  call: Call,
  request: { readonly name: SecretName; readonly pageSize: number; readonly pageToken: string },
): Promise<Page<SlotMeta>> {
  const { name, pageSize } = request;
  return recorded(core, call, { name }, async () => {
    core.authorizer.require(core.opened.sync(), call, name);
    const binding = ["ListSlots", name];
    const after = decodePageToken(request.pageToken, binding);
    const page = core.storage.listSlots(name, {
      limit: pageSize + 1,
      withRecords: false,
      ...(after === undefined ? {} : { after: slotAfter(after) }),
    });
    if (page.secret === undefined) throw secretNotFound(name);
    await core.audit.listed(call, name);
    const items = page.slots.slice(0, pageSize);
    const last = page.slots.length > pageSize ? items.at(-1) : undefined;
    const nextPageToken = last === undefined ? "" : encodePageToken(binding, String(last.slot));
    return { head: page.head, items, nextPageToken };
  });
}

export interface UpdateSecretRequest {
  readonly name: SecretName;
  /** Undefined: stays as it is. */
  readonly comment: string | undefined;
  /** Undefined: stay as they are. Else the whole map. */
  readonly labels: Labels | undefined;
  readonly etag: string;
  readonly requestId: string | undefined;
}

export function updateSecret(core: Core, call: Call, request: UpdateSecretRequest): Promise<CommitResult> {
  const { name, comment, labels, etag, requestId } = request;
  const subject = subjectOf(name, requestId);
  return recorded(core, call, subject, async () => {
    const head = core.opened.sync();
    core.authorizer.require(head, call, name);
    const content = [name, JSON.stringify([comment, labels]), etag];
    const change = new Change(core, call, requestId, content);
    const known = change.replay();
    if (known !== undefined) return change.answered(known, subject);
    const expectedRevision = revisionOfEtag(etag, head.epoch);
    const result = await change.commitDecided(
      {
        kind: "update-secret",
        name,
        ...(comment === undefined ? {} : { comment }),
        ...(labels === undefined ? {} : { labels }),
        ...(expectedRevision === undefined ? {} : { expectedRevision }),
      },
      subject,
    );
    return result;
  });
}

export interface DeleteSecretRequest {
  readonly name: SecretName;
  readonly etag: string;
  readonly requestId: string | undefined;
}

export function deleteSecret(core: Core, call: Call, request: DeleteSecretRequest): Promise<CommitResult> {
  const { name, etag, requestId } = request;
  const subject = subjectOf(name, requestId);
  return recorded(core, call, subject, async () => {
    const head = core.opened.sync();
    core.authorizer.require(head, call, name);
    const change = new Change(core, call, requestId, [name, etag]);
    const known = change.replay();
    if (known !== undefined) return change.answered(known, subject);
    const expectedRevision = revisionOfEtag(etag, head.epoch);
    const result = await change.commitDecided(
      { kind: "delete-secret", name, ...(expectedRevision === undefined ? {} : { expectedRevision }) },
      subject,
    );
    return result;
  });
}

function subjectOf(name: SecretName, requestId: string | undefined) {
  return { name, ...(requestId === undefined ? {} : { requestId }) };
}

function sizeOf(secret: SecretMeta): number {
  return 256 + secret.name.length + 3 * secret.comment.length + 3 * JSON.stringify(secret.labels).length;
}
