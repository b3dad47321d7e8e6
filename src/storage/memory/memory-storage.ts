import { randomBytes } from "node:crypto";
import { SlotsError } from "../../domain/errors.ts";
import type { SecretName } from "../../domain/names.ts";
import type { Revision } from "../../domain/numbers.ts";
import { current, effectiveAt } from "../../domain/slots.ts";
import type { SecretRead, SlotRead, SlotRow, TokenRecord, WrappedRow } from "../records.ts";
import type { Storage } from "../storage.ts";
import { apply, mayWrap } from "./apply.ts";
import { emptyState, requestKey, type StoredSecret, slotOf } from "./state.ts";

/**
 * The reference engine: the port's rules in the plainest form there is. It keeps nothing past the process and
 * looks everything up by scanning, so that other engines can be compared with it.
 */
export function openMemoryStorage(): Storage {
  const identity = { storeId: randomBytes(16).toString("hex"), schemaVersion: 1 };
  const state = emptyState(randomBytes(16).toString("hex"));
  const rings = new Set<() => void>();

  const secretRead = (name: SecretName): SecretRead => ({
    head: state.head,
    secret: state.secrets.get(name)?.meta,
    deletedRevision: state.tombstones.get(name)?.revision ?? (0n as Revision),
    floor: state.floor,
  });
  const slotRead = (name: SecretName, pick: (secret: StoredSecret) => SlotRow | undefined): SlotRead => {
    const secret = state.secrets.get(name);
    return { ...secretRead(name), slot: secret && pick(secret) };
  };
  const wrappedBy = (keyId: string): WrappedRow[] =>
    [...state.secrets].flatMap(([, { meta, slots }]) =>
      slots.flatMap(({ slot, versionId, record }) =>
        record?.keyId === keyId
          ? [{ name: meta.name, slot, versionId, keyId, wrappedKey: record.wrappedKey }]
          : [],
      ),
    );
  const cursorOf = (row: WrappedRow) => `${row.name} ${row.slot.toString().padStart(19, "0")}`;

  return {
    identity,
    head: () => state.head,

    readCurrent: (name) => slotRead(name, (secret) => current(secret.slots)),
    readEffectiveAt: (name, at) => slotRead(name, (secret) => effectiveAt(secret.slots, at)),
    readSlot: (name, slot) => slotRead(name, (secret) => slotOf(secret, slot)),
    readSecret: secretRead,

    listSecrets({ from, until }, limit) {
      const names = [...state.secrets.keys()].sort();
      const inRange = names.filter((name) => name >= from && (until === undefined || name < until));
      return {
        head: state.head,
        secrets: inRange.slice(0, limit).map((name) => state.secrets.get(name)!.meta),
      };
    },
    listSlots(name, query) {
      const { after, state: wanted, changedAfter } = query;
      const rows = (state.secrets.get(name)?.slots ?? [])
        .filter((row) => after === undefined || row.slot > after)
        .filter((row) => wanted === undefined || row.state === wanted)
        .filter((row) => changedAfter === undefined || row.revision > changedAfter)
        .sort((a, b) => (changedAfter === undefined ? 0 : a.revision < b.revision ? -1 : 1))
        .slice(0, query.limit);
      const slots = query.withRecords ? rows : rows.map((row) => ({ ...row, record: undefined }));
      return { ...secretRead(name), slots };
    },

    changesAfter: (revision, limit) => ({
      head: state.head,
      changes: state.changes.filter((change) => change.revision > revision).slice(0, limit),
      floor: state.floor,
    }),
    changeAt: (revision) => state.changes.find((change) => change.revision === revision),
    findRequest: (principal, rpc, id) => state.requests.get(requestKey(principal, rpc, id)),

    readAccess: () => ({ head: state.head, policies: state.policies }),
    findToken: (hash) => ({
      head: state.head,
      token: [...state.tokens.values()].find((token) => Buffer.compare(token.hash, hash) === 0),
    }),
    listTokens(after, limit) {
      const tokens = [...state.tokens.values()].sort(byCreateTime);
      const start = after === undefined ? 0 : tokens.findIndex((token) => token.tokenId === after) + 1;
      const unknown = after !== undefined && start === 0;
      return { head: state.head, tokens: unknown ? [] : tokens.slice(start, start + limit) };
    },
    readPolicies: () => state.policies,

    masterKeys: () => [...state.masterKeys.values()].sort((a, b) => (a.keyId < b.keyId ? -1 : 1)),
    storeKeys: () => [...state.storeKeys.values()].sort((a, b) => (a.purpose < b.purpose ? -1 : 1)),
    countWrappedBy: async (keyId) => BigInt(wrappedBy(keyId).length),
    listWrappedBy(keyId, after, limit) {
      const rows = wrappedBy(keyId).sort((a, b) => (cursorOf(a) < cursorOf(b) ? -1 : 1));
      const rest = after === undefined ? rows : rows.filter((row) => cursorOf(row) > after);
      const page = rest.slice(0, limit);
      const last = page[page.length - 1];
      return { rows: page, next: rest.length > limit && last ? cursorOf(last) : undefined };
    },

    async commit(commit) {
      const outcome = apply(state, commit);
      if (outcome.kind === "committed") for (const ring of rings) ring();
      return outcome;
    },
    async rewrap(items) {
      let count = 0;
      for (const { name, slot, versionId, keyId, wrappedKey } of items) {
        const secret = state.secrets.get(name);
        const row = slotOf(secret, slot);
        if (secret === undefined || row?.record === undefined) continue;
        if (Buffer.compare(row.versionId, versionId) !== 0 || !mayWrap(state, keyId)) continue;
        const rewrapped = { ...row, record: { ...row.record, keyId, wrappedKey } };
        state.secrets.set(name, {
          ...secret,
          slots: secret.slots.map((other) => (other === row ? rewrapped : other)),
        });
        count += 1;
      }
      return count;
    },
    async putStoreKeys(records) {
      for (const record of records) {
        if (mayWrap(state, record.keyId)) state.storeKeys.set(record.purpose, record);
      }
    },
    async addStoreKeys(records) {
      for (const record of records) {
        if (state.storeKeys.has(record.purpose) || !mayWrap(state, record.keyId)) continue;
        state.storeKeys.set(record.purpose, record);
      }
    },
    async addMasterKeys(records) {
      for (const record of records) {
        if (state.masterKeys.has(record.keyId)) continue;
        state.masterKeys.set(record.keyId, { ...record, primary: state.masterKeys.size === 0 });
      }
    },
    async putAuditAnchors(anchors) {
      for (const anchor of anchors) state.anchors.set(anchor.chain, anchor);
    },
    auditAnchors: () => [...state.anchors.values()].sort((a, b) => (a.chain < b.chain ? -1 : 1)),

    async prune(changesBefore, now) {
      // The newest change is always kept: it says which history the head belongs to.
      while (state.changes.length > 1 && state.changes[0]!.time < changesBefore) {
        state.floor = state.changes.shift()!.revision;
      }
      for (const [name, tombstone] of state.tombstones) {
        if (tombstone.revision <= state.floor) state.tombstones.delete(name);
      }
      for (const [key, request] of state.requests) {
        if (request.expireTime <= now) state.requests.delete(key);
      }
    },
    async newEpoch() {
      const epoch = randomBytes(16).toString("hex");
      state.head = { ...state.head, epoch };
      for (const ring of rings) ring();
      return epoch;
    },

    onCommit(ring) {
      // A wrapper of its own for each caller, so that one function given twice is stopped one at a time.
      const entry = () => ring();
      rings.add(entry);
      return () => void rings.delete(entry);
    },
    async backupTo() {
      throw new SlotsError("NOT_IMPLEMENTED", "a store that is kept in memory can't be backed up");
    },
    async close() {
      rings.clear();
    },
  };
}

function byCreateTime(a: TokenRecord, b: TokenRecord): number {
  return a.createTime - b.createTime || (a.tokenId < b.tokenId ? -1 : 1);
}
