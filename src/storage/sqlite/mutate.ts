import type { Revision } from "../../domain/numbers.ts";
import type {
  Commit,
  CommitOutcome,
  CommitResult,
  DeleteSecretMutation,
  Mutation,
  PutSlotMutation,
  Rejection,
  SetSlotStateMutation,
  UpdateSecretMutation,
} from "../commit.ts";
import type { ChangeRecord, Head, SecretMeta, SlotMeta, SlotRow } from "../records.ts";
import { decodeResult } from "./result-codec.ts";
import type { KeyedSecret } from "./secret-rows.ts";
import type { WriterTables } from "./writer-tables.ts";

type Verdict =
  | { readonly kind: "rejected"; readonly rejection: Rejection }
  | { readonly kind: "unchanged"; readonly result: CommitResult }
  | {
      readonly kind: "changed";
      readonly change: Pick<ChangeRecord, "kind"> & Partial<Pick<ChangeRecord, "name" | "slot" | "subject">>;
      readonly access?: boolean;
      readonly result?: Pick<CommitResult, "secret" | "slot" | "created" | "token">;
    };

/** What a mutation needs to know of the commit that it is part of. */
interface Moment {
  readonly head: Head;
  readonly time: number;
  /** The revision that this commit makes if it changes anything. */
  readonly revision: Revision;
}

/** Decides on one commit and writes it. Runs in a savepoint: what it throws undoes it whole (D2). */
export function mutate(tables: WriterTables, commit: Commit): CommitOutcome {
  const { principal, rpc, request, time } = commit;
  if (request !== undefined) {
    const known = tables.request(principal, rpc, request.id, time);
    if (known !== undefined) {
      return Buffer.compare(known.digest, request.digest) === 0
        ? { kind: "replayed", result: decodeResult(known.result) }
        : rejected({ kind: "request-id-reused" });
    }
  }
  const before = tables.head();
  const revision = (before.revision + 1n) as Revision;
  const verdict = decide(tables, commit.mutation, { head: before, time, revision });
  if (verdict.kind === "rejected") return verdict;
  const result =
    verdict.kind === "unchanged" ? verdict.result : { epoch: before.epoch, revision, ...verdict.result };
  if (request !== undefined) tables.saveRequest(principal, rpc, request, result);
  if (verdict.kind === "unchanged") return { kind: "unchanged", result };
  const accessRevision = verdict.access === true ? revision : before.accessRevision;
  const head = { epoch: before.epoch, revision, accessRevision };
  tables.saveHead(head);
  const { kind, name, slot, subject } = verdict.change;
  const { commitId } = commit;
  tables.addChange({
    revision,
    commitId,
    time,
    kind,
    name,
    slot,
    subject,
    principal,
    rpc,
    requestId: request?.id,
  });
  return { kind: "committed", head, result };
}

function decide(tables: WriterTables, mutation: Mutation, moment: Moment): Verdict {
  switch (mutation.kind) {
    case "put-slot":
      return putSlot(tables, mutation, moment);
    case "set-slot-state":
      return setSlotState(tables, mutation, moment);
    case "update-secret":
      return updateSecret(tables, mutation, moment);
    case "delete-secret":
      return deleteSecret(tables, mutation, moment);
    case "keep-request":
      return { kind: "unchanged", result: mutation.result };
    case "create-token":
      tables.insertToken(mutation.token);
      return accessChanged("token-created", mutation.token.tokenId, { token: mutation.token });
    case "revoke-token": {
      const token = tables.token(mutation.tokenId);
      if (token === undefined) return rejected({ kind: "token-not-found" });
      if (token.revokeTime !== undefined) return asItIs(moment.head, { token });
      const revoked = { ...token, revokeTime: moment.time };
      tables.updateToken(revoked);
      return accessChanged("token-revoked", token.tokenId, { token: revoked });
    }
    case "replace-policies": {
      const { expectedAccessRevision: expected, policies } = mutation;
      if (expected !== undefined && expected !== moment.head.accessRevision) {
        return rejected({ kind: "access-moved" });
      }
      tables.replacePolicies(policies);
      const names = policies.map((policy) => policy.name).sort();
      return accessChanged("policies-replaced", names.join(","));
    }
    case "set-primary-key": {
      const { keyId } = mutation.key;
      if (tables.isPrimary(keyId) === true) return asItIs(moment.head);
      tables.addMasterKey(mutation.key);
      tables.makePrimary(keyId);
      return { kind: "changed", change: { kind: "primary-key-set", subject: keyId } };
    }
    case "retire-master-key": {
      const { keyId } = mutation;
      const primary = tables.isPrimary(keyId);
      if (primary === undefined) return rejected({ kind: "key-not-found" });
      const count = tables.keyUses(keyId);
      if (primary || count > 0n) return rejected({ kind: "key-in-use", count });
      tables.deleteMasterKey(keyId);
      return { kind: "changed", change: { kind: "master-key-retired", subject: keyId } };
    }
    default:
      return mutation satisfies never;
  }
}

function putSlot(tables: WriterTables, put: PutSlotMutation, { time, revision }: Moment): Verdict {
  const { name, slot, state, versionId, size, record } = put;
  const before = tables.secret(name);
  const old = before && tables.slot(before.id, slot);
  // First of all: who saw another slot than there is must decide anew, its expected revision included.
  if (!sameBytes(old?.versionId, put.replaces)) return rejected({ kind: "slot-moved" });
  if (put.mustBeNext === true && slot !== (before === undefined ? 0n : before.meta.lastSlot + 1n)) {
    return rejected({ kind: "slot-moved" });
  }
  const mismatch = checkRevision(before, put.expectedRevision);
  if (mismatch !== undefined) return mismatch;
  if (old === undefined && (before?.meta.slotCount ?? 0) >= put.maxSlots) {
    return rejected({ kind: "too-many-slots" });
  }
  if (!tables.mayWrap(record.keyId)) return rejected({ kind: "key-moved" });
  const stamps = { createTime: time, updateTime: time, revision, valueRevision: revision };
  const row: SlotRow = { slot, state, ...stamps, versionId, size, record };
  const secret =
    before === undefined ? bear(tables, put, { time, revision }, row) : change(tables, before, old, row);
  return {
    kind: "changed",
    change: { kind: "slot-put", name, slot },
    result: { secret, slot: metaOf(row), created: old === undefined },
  };
}

function bear(
  tables: WriterTables,
  { name, slot, state }: PutSlotMutation,
  { time, revision }: Pick<Moment, "time" | "revision">,
  row: SlotRow,
): SecretMeta {
  const id = tables.newSecretId();
  const enabled = state === "enabled";
  const meta: SecretMeta = {
    name,
    comment: "",
    labels: {},
    createTime: time,
    updateTime: time,
    revision,
    stateRevision: revision,
    bornRevision: revision,
    slotCount: 1,
    enabledCount: enabled ? 1 : 0,
    disabledCount: enabled ? 0 : 1,
    destroyedCount: 0,
    currentSlot: enabled ? slot : undefined,
    lastSlot: slot,
  };
  tables.insertSecret(id, meta);
  tables.saveSlot(id, row);
  return meta;
}

const COUNT = { enabled: "enabledCount", disabled: "disabledCount", destroyed: "destroyedCount" } as const;

/** Writes one slot of a known secret, and the secret's counts and current slot with it. */
function change(
  tables: WriterTables,
  { id, meta }: KeyedSecret,
  old: SlotRow | undefined,
  row: SlotRow,
): SecretMeta {
  tables.saveSlot(id, row);
  const counts = {
    enabledCount: meta.enabledCount,
    disabledCount: meta.disabledCount,
    destroyedCount: meta.destroyedCount,
  };
  if (old !== undefined) counts[COUNT[old.state]] -= 1;
  counts[COUNT[row.state]] += 1;
  const currentSlot = tables.highestEnabled(id);
  // The state is new when another version is current: another number, or the same number written anew (W11).
  const rewritten = currentSlot === row.slot && !sameBytes(old?.versionId, row.versionId);
  const after: SecretMeta = {
    ...meta,
    ...counts,
    updateTime: row.updateTime,
    revision: row.revision,
    stateRevision: currentSlot !== meta.currentSlot || rewritten ? row.revision : meta.stateRevision,
    slotCount: counts.enabledCount + counts.disabledCount + counts.destroyedCount,
    currentSlot,
    lastSlot: row.slot > meta.lastSlot ? row.slot : meta.lastSlot,
  };
  tables.updateSecret(id, after);
  return after;
}

const STATE_CHANGE = {
  enabled: "slot-enabled",
  disabled: "slot-disabled",
  destroyed: "slot-destroyed",
} as const;

function setSlotState(tables: WriterTables, set: SetSlotStateMutation, moment: Moment): Verdict {
  const { name, slot, state } = set;
  const before = tables.secret(name);
  if (before === undefined) return rejected({ kind: "secret-not-found" });
  const old = tables.slot(before.id, slot);
  if (old === undefined) return rejected({ kind: "slot-not-found" });
  if (old.state === state) {
    const { epoch } = moment.head;
    const result = { epoch, revision: before.meta.revision, secret: before.meta, slot: metaOf(old) };
    return { kind: "unchanged", result };
  }
  const mismatch = checkRevision(before, set.expectedRevision);
  if (mismatch !== undefined) return mismatch;
  if (old.state === "destroyed") return rejected({ kind: "slot-destroyed" });
  const moved: SlotRow = { ...old, state, updateTime: moment.time, revision: moment.revision };
  const row: SlotRow = state === "destroyed" ? { ...moved, size: 0, record: undefined } : moved;
  const secret = change(tables, before, old, row);
  return {
    kind: "changed",
    change: { kind: STATE_CHANGE[state], name, slot },
    result: { secret, slot: metaOf(row) },
  };
}

function updateSecret(tables: WriterTables, update: UpdateSecretMutation, moment: Moment): Verdict {
  const before = tables.secret(update.name);
  if (before === undefined) return rejected({ kind: "secret-not-found" });
  const mismatch = checkRevision(before, update.expectedRevision);
  if (mismatch !== undefined) return mismatch;
  const { id, meta } = before;
  const { comment = meta.comment, labels = meta.labels } = update;
  if (comment === meta.comment && sameLabels(labels, meta.labels)) {
    const result = { epoch: moment.head.epoch, revision: meta.revision, secret: meta };
    return { kind: "unchanged", result };
  }
  const secret = { ...meta, comment, labels, updateTime: moment.time, revision: moment.revision };
  tables.updateSecret(id, secret);
  return { kind: "changed", change: { kind: "secret-updated", name: update.name }, result: { secret } };
}

function deleteSecret(tables: WriterTables, del: DeleteSecretMutation, { time, revision }: Moment): Verdict {
  const before = tables.secret(del.name);
  if (before === undefined) return rejected({ kind: "secret-not-found" });
  const mismatch = checkRevision(before, del.expectedRevision);
  if (mismatch !== undefined) return mismatch;
  tables.deleteSecret(before.id, del.name, revision, time);
  return { kind: "changed", change: { kind: "secret-deleted", name: del.name } };
}

function rejected(rejection: Rejection): Extract<Verdict, { kind: "rejected" }> {
  return { kind: "rejected", rejection };
}

function accessChanged(
  kind: ChangeRecord["kind"],
  subject: string,
  result: Pick<CommitResult, "token"> = {},
): Verdict {
  return { kind: "changed", access: true, change: { kind, subject }, result };
}

function asItIs({ epoch, revision }: Head, more: Pick<CommitResult, "token"> = {}): Verdict {
  return { kind: "unchanged", result: { epoch, revision, ...more } };
}

function checkRevision(before: KeyedSecret | undefined, expected: Revision | undefined) {
  const revision = before?.meta.revision ?? (0n as Revision);
  return expected === undefined || expected === revision
    ? undefined
    : rejected({ kind: "revision-mismatch", revision });
}

function metaOf({ record: _record, ...meta }: SlotRow): SlotMeta {
  return meta;
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
