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
import type { ChangeRecord, SlotMeta, SlotRow } from "../records.ts";
import { type MemoryState, requestKey, slotOf, withSlot } from "./state.ts";

type Change = Pick<ChangeRecord, "kind"> & Partial<Pick<ChangeRecord, "name" | "slot" | "subject">>;

type Verdict =
  | { readonly kind: "rejected"; readonly rejection: Rejection }
  | { readonly kind: "unchanged"; readonly result: CommitResult }
  | {
      readonly kind: "changed";
      readonly change: Change;
      readonly access?: boolean;
      readonly result?: Pick<CommitResult, "secret" | "slot" | "created" | "token">;
    };

/** Decides on one commit and makes it so. A rejection leaves the state as it was (D2). */
export function apply(state: MemoryState, commit: Commit): CommitOutcome {
  const { request } = commit;
  const key = request && requestKey(commit.principal, commit.rpc, request.id);
  const known = key === undefined ? undefined : state.requests.get(key);
  if (request !== undefined && known !== undefined && known.expireTime > commit.time) {
    return Buffer.compare(known.digest, request.digest) === 0
      ? { kind: "replayed", result: known.result }
      : rejected({ kind: "request-id-reused" });
  }
  const { epoch } = state.head;
  const revision = (state.head.revision + 1n) as Revision;
  const verdict = decide(state, commit, revision);
  if (verdict.kind === "rejected") return verdict;
  const result =
    verdict.kind === "unchanged" ? verdict.result : { epoch, revision, ...(verdict.result ?? {}) };
  if (request !== undefined && key !== undefined) {
    state.requests.set(key, { digest: request.digest, result, expireTime: request.expireTime });
  }
  if (verdict.kind === "unchanged") return { kind: "unchanged", result };
  const accessRevision = verdict.access ? revision : state.head.accessRevision;
  state.head = { epoch, revision, accessRevision };
  state.changes.push({
    revision,
    commitId: commit.commitId,
    time: commit.time,
    kind: verdict.change.kind,
    name: verdict.change.name,
    slot: verdict.change.slot,
    subject: verdict.change.subject,
    principal: commit.principal,
    rpc: commit.rpc,
    requestId: request?.id,
  });
  return { kind: "committed", head: state.head, result };
}

function rejected(rejection: Rejection): Extract<Verdict, { kind: "rejected" }> {
  return { kind: "rejected", rejection };
}

function decide(state: MemoryState, commit: Commit, revision: Revision): Verdict {
  const { mutation } = commit;
  switch (mutation.kind) {
    case "put-slot":
      return putSlot(state, mutation, commit.time, revision);
    case "set-slot-state":
      return setSlotState(state, mutation, commit.time, revision);
    case "update-secret":
      return updateSecret(state, mutation, commit.time, revision);
    case "delete-secret":
      return deleteSecret(state, mutation, commit.time, revision);
    case "keep-request":
      return { kind: "unchanged", result: mutation.result };
    default:
      return decideAccess(state, mutation, commit.time);
  }
}

function putSlot(state: MemoryState, put: PutSlotMutation, time: number, revision: Revision): Verdict {
  const before = state.secrets.get(put.name);
  const old = slotOf(before, put.slot);
  const next = before === undefined ? 0n : before.meta.lastSlot + 1n;
  const asSeen =
    old === undefined
      ? put.replaces === undefined
      : put.replaces !== undefined && Buffer.compare(old.versionId, put.replaces) === 0;
  if (!asSeen || (put.mustBeNext === true && put.slot !== next)) return rejected({ kind: "slot-moved" });
  const mismatch = checkRevision(before?.meta.revision, put.expectedRevision);
  if (mismatch !== undefined) return mismatch;
  if (old === undefined && (before?.slots.length ?? 0) >= put.maxSlots) {
    return rejected({ kind: "too-many-slots" });
  }
  if (!mayWrap(state, put.record.keyId)) return rejected({ kind: "key-moved" });
  const row: SlotRow = {
    slot: put.slot,
    state: put.state,
    createTime: time,
    updateTime: time,
    revision,
    valueRevision: revision,
    versionId: put.versionId,
    size: put.size,
    record: put.record,
  };
  const born = { name: put.name, comment: "", labels: {}, createTime: time, bornRevision: revision };
  const after = withSlot(before, before === undefined ? born : baseOf(before.meta), row);
  state.secrets.set(put.name, after);
  return {
    kind: "changed",
    change: { kind: "slot-put", name: put.name, slot: put.slot },
    result: { secret: after.meta, slot: metaOf(row), created: old === undefined },
  };
}

const STATE_CHANGE = {
  enabled: "slot-enabled",
  disabled: "slot-disabled",
  destroyed: "slot-destroyed",
} as const;

function setSlotState(
  state: MemoryState,
  set: SetSlotStateMutation,
  time: number,
  revision: Revision,
): Verdict {
  const before = state.secrets.get(set.name);
  if (before === undefined) return rejected({ kind: "secret-not-found" });
  const old = slotOf(before, set.slot);
  if (old === undefined) return rejected({ kind: "slot-not-found" });
  if (old.state === set.state) {
    const result = { revision: before.meta.revision, secret: before.meta, slot: metaOf(old) };
    return { kind: "unchanged", result: { epoch: state.head.epoch, ...result } };
  }
  const mismatch = checkRevision(before.meta.revision, set.expectedRevision);
  if (mismatch !== undefined) return mismatch;
  if (old.state === "destroyed") return rejected({ kind: "slot-destroyed" });
  const moved = { ...old, state: set.state, updateTime: time, revision };
  const row: SlotRow = set.state === "destroyed" ? { ...moved, size: 0, record: undefined } : moved;
  const after = withSlot(before, baseOf(before.meta), row);
  state.secrets.set(set.name, after);
  return {
    kind: "changed",
    change: { kind: STATE_CHANGE[set.state], name: set.name, slot: set.slot },
    result: { secret: after.meta, slot: metaOf(row) },
  };
}

function updateSecret(
  state: MemoryState,
  update: UpdateSecretMutation,
  time: number,
  revision: Revision,
): Verdict {
  const before = state.secrets.get(update.name);
  if (before === undefined) return rejected({ kind: "secret-not-found" });
  const mismatch = checkRevision(before.meta.revision, update.expectedRevision);
  if (mismatch !== undefined) return mismatch;
  const comment = update.comment ?? before.meta.comment;
  const labels = update.labels ?? before.meta.labels;
  if (comment === before.meta.comment && sameLabels(labels, before.meta.labels)) {
    const result = { epoch: state.head.epoch, revision: before.meta.revision, secret: before.meta };
    return { kind: "unchanged", result };
  }
  const meta = { ...before.meta, comment, labels, updateTime: time, revision };
  state.secrets.set(update.name, { ...before, meta });
  return { kind: "changed", change: { kind: "secret-updated", name: update.name }, result: { secret: meta } };
}

function deleteSecret(
  state: MemoryState,
  del: DeleteSecretMutation,
  time: number,
  revision: Revision,
): Verdict {
  const before = state.secrets.get(del.name);
  if (before === undefined) return rejected({ kind: "secret-not-found" });
  const mismatch = checkRevision(before.meta.revision, del.expectedRevision);
  if (mismatch !== undefined) return mismatch;
  state.secrets.delete(del.name);
  state.tombstones.set(del.name, { revision, time });
  return { kind: "changed", change: { kind: "secret-deleted", name: del.name } };
}

function decideAccess(
  state: MemoryState,
  mutation: Exclude<
    Mutation,
    { kind: "put-slot" | "set-slot-state" | "update-secret" | "delete-secret" | "keep-request" }
  >,
  time: number,
): Verdict {
  const asItIs = { epoch: state.head.epoch, revision: state.head.revision };
  const unchanged: Verdict = { kind: "unchanged", result: asItIs };
  switch (mutation.kind) {
    case "create-token": {
      const { token } = mutation;
      state.tokens.set(token.tokenId, token);
      const change = { kind: "token-created", subject: token.tokenId } as const;
      return { kind: "changed", access: true, change, result: { token } };
    }
    case "revoke-token": {
      const token = state.tokens.get(mutation.tokenId);
      if (token === undefined) return rejected({ kind: "token-not-found" });
      if (token.revokeTime !== undefined) return { kind: "unchanged", result: { ...asItIs, token } };
      const revoked = { ...token, revokeTime: time };
      state.tokens.set(token.tokenId, revoked);
      const change = { kind: "token-revoked", subject: token.tokenId } as const;
      return { kind: "changed", access: true, change, result: { token: revoked } };
    }
    case "replace-policies": {
      const expected = mutation.expectedAccessRevision;
      if (expected !== undefined && expected !== state.head.accessRevision) {
        return rejected({ kind: "access-moved" });
      }
      state.policies = [...mutation.policies].sort((a, b) => (a.name < b.name ? -1 : 1));
      const subject = state.policies.map((policy) => policy.name).join(",");
      return { kind: "changed", access: true, change: { kind: "policies-replaced", subject } };
    }
    case "set-primary-key": {
      const { keyId } = mutation.key;
      if (state.masterKeys.get(keyId)?.primary === true) return unchanged;
      const key = state.masterKeys.get(keyId) ?? mutation.key;
      for (const [id, other] of state.masterKeys) state.masterKeys.set(id, { ...other, primary: false });
      state.masterKeys.set(keyId, { ...key, primary: true });
      return { kind: "changed", change: { kind: "primary-key-set", subject: keyId } };
    }
    case "retire-master-key": {
      const key = state.masterKeys.get(mutation.keyId);
      if (key === undefined) return rejected({ kind: "key-not-found" });
      const count = usesOf(state, key.keyId);
      if (key.primary || count > 0n) return rejected({ kind: "key-in-use", count });
      state.masterKeys.delete(key.keyId);
      return { kind: "changed", change: { kind: "master-key-retired", subject: key.keyId } };
    }
    default:
      return mutation satisfies never;
  }
}

/** What a key wraps that was retired would be lost once somebody throws it away, as he then may. */
export function mayWrap(state: MemoryState, keyId: string): boolean {
  return state.masterKeys.has(keyId) || state.masterKeys.size === 0;
}

/** Slot versions and store keys that this key wraps. */
function usesOf(state: MemoryState, keyId: string): bigint {
  const slots = [...state.secrets.values()].flatMap((secret) => secret.slots);
  const wrapped = slots.filter((slot) => slot.record?.keyId === keyId).length;
  const storeKeys = [...state.storeKeys.values()].filter((record) => record.keyId === keyId).length;
  return BigInt(wrapped + storeKeys);
}

function checkRevision(today: Revision | undefined, expected: Revision | undefined) {
  const revision = today ?? (0n as Revision);
  if (expected === undefined || expected === revision) return undefined;
  return rejected({ kind: "revision-mismatch", revision });
}

function baseOf(meta: Parameters<typeof withSlot>[1]): Parameters<typeof withSlot>[1] {
  const { name, comment, labels, createTime, bornRevision } = meta;
  return { name, comment, labels, createTime, bornRevision };
}

function metaOf({ record: _record, ...meta }: SlotRow): SlotMeta {
  return meta;
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
