import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { current, effectiveAt } from "../../src/domain/slots.ts";
import type { Commit } from "../../src/storage/commit.ts";
import type { Storage } from "../../src/storage/storage.ts";
import {
  bytes,
  commitOf,
  committed,
  fresh,
  name,
  plain,
  put,
  revision,
  sealed,
  setState,
  slot,
} from "./storage-commits.ts";
import { compareWithReference, turns } from "./storage-model.ts";

/** What every engine must do. `open` gives an empty store; it is closed after each test. */
export function storageContract(engine: string, open: () => Promise<Storage>): void {
  describe(`storage contract: ${engine}`, () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.close());

    const rejection = async (commit: Commit) => {
      const outcome = await storage.commit(commit);
      return outcome.kind === "rejected" ? outcome.rejection : outcome.kind;
    };
    const currentOf = (secret: string) => storage.readCurrent(name(secret));
    const secretOf = (secret: string) => storage.readSecret(name(secret)).secret!;

    describe("an empty store", () => {
      test("stands at revision 0 of an epoch", () => {
        expect(storage.head()).toMatchObject({ revision: 0n, accessRevision: 0n });
        expect(storage.head().epoch).toMatch(/^[0-9a-f]{32}$/);
        expect(storage.identity.storeId).toMatch(/^[0-9a-f]{32}$/);
      });

      test("answers every read with nothing", () => {
        const nothing = { secret: undefined, deletedRevision: 0n, floor: 0n, head: storage.head() };
        expect(storage.readSecret(name("a"))).toEqual(nothing);
        expect(currentOf("a")).toEqual({ ...nothing, slot: undefined });
        expect(storage.readEffectiveAt(name("a"), slot(5))).toEqual({ ...nothing, slot: undefined });
        expect(storage.listSlots(name("a"), { limit: 5, withRecords: true })).toEqual({
          ...nothing,
          slots: [],
        });
        expect(storage.listSecrets({ from: "" }, 5).secrets).toEqual([]);
        expect(storage.changesAfter(revision(0), 5)).toMatchObject({ changes: [], floor: 0n });
        expect(storage.readAccess().policies).toEqual([]);
        expect(storage.findToken(bytes("x", 32)).token).toBeUndefined();
        expect([storage.masterKeys(), storage.storeKeys(), storage.auditAnchors()]).toEqual([[], [], []]);
      });
    });

    describe("put", () => {
      test("makes the secret at its first slot", async () => {
        const first = put("a", 0);
        const result = await committed(storage, first, { time: 7000 });
        expect(result).toMatchObject({ revision: 1n, created: true, epoch: storage.head().epoch });
        expect(secretOf("a")).toEqual({
          name: "a",
          comment: "",
          labels: {},
          createTime: 7000,
          updateTime: 7000,
          revision: 1n,
          stateRevision: 1n,
          bornRevision: 1n,
          slotCount: 1,
          enabledCount: 1,
          disabledCount: 0,
          destroyedCount: 0,
          currentSlot: 0n,
          lastSlot: 0n,
        });
        expect(plain(currentOf("a").slot)).toEqual(
          plain({
            slot: 0n,
            state: "enabled",
            createTime: 7000,
            updateTime: 7000,
            revision: 1n,
            valueRevision: 1n,
            versionId: first.versionId,
            size: 32,
            record: first.record,
          }),
        );
      });

      test("above the current slot makes a new state, below it only a revision", async () => {
        await committed(storage, put("a", 5));
        await committed(storage, put("a", 9));
        expect(secretOf("a")).toMatchObject({ currentSlot: 9n, revision: 2n, stateRevision: 2n });
        await committed(storage, put("a", 7));
        expect(secretOf("a")).toMatchObject({ currentSlot: 9n, revision: 3n, stateRevision: 2n });
      });

      test("staged as disabled does not become current", async () => {
        await committed(storage, put("a", 0, { state: "disabled" }));
        expect(secretOf("a")).toMatchObject({ currentSlot: undefined, stateRevision: 1n, disabledCount: 1 });
        expect(currentOf("a").slot).toBeUndefined();
        await committed(storage, put("a", 1));
        await committed(storage, put("a", 2, { state: "disabled" }));
        expect(secretOf("a")).toMatchObject({
          currentSlot: 1n,
          revision: 3n,
          stateRevision: 2n,
          lastSlot: 2n,
        });
      });

      test("replaces the version that it saw, and only that one", async () => {
        const first = put("a", 3);
        await committed(storage, first, { time: 1 });
        expect(await rejection(commitOf(put("a", 3)))).toEqual({ kind: "slot-moved" });
        const stale = put("a", 3, { replaces: bytes("another version") });
        expect(await rejection(commitOf(stale))).toEqual({ kind: "slot-moved" });
        expect(await rejection(commitOf(put("a", 4, { replaces: first.versionId })))).toEqual({
          kind: "slot-moved",
        });
        const again = put("a", 3, { replaces: first.versionId });
        expect(await committed(storage, again, { time: 2 })).toMatchObject({ created: false, revision: 2n });
        expect(secretOf("a")).toMatchObject({
          slotCount: 1,
          stateRevision: 2n,
          bornRevision: 1n,
          createTime: 1,
        });
        expect(currentOf("a").slot).toMatchObject({ createTime: 2, valueRevision: 2n });
        expect(plain(currentOf("a").slot?.record)).toEqual(plain(again.record));
      });

      test("overwriting a slot below the current one makes no new state", async () => {
        const low = put("a", 1);
        await committed(storage, low);
        await committed(storage, put("a", 2));
        await committed(storage, put("a", 1, { replaces: low.versionId }));
        expect(secretOf("a")).toMatchObject({ revision: 3n, stateRevision: 2n, currentSlot: 2n });
      });

      test("writes a destroyed number anew when it replaces its version", async () => {
        const first = put("a", 3);
        await committed(storage, first);
        await committed(storage, setState("a", 3, "destroyed"));
        expect(await rejection(commitOf(put("a", 3)))).toEqual({ kind: "slot-moved" });
        const again = put("a", 3, { replaces: first.versionId });
        expect(await committed(storage, again)).toMatchObject({ created: false });
        expect(secretOf("a")).toMatchObject({ enabledCount: 1, destroyedCount: 0, currentSlot: 3n });
      });

      test("checks the secret's revision, 0 meaning that there is none", async () => {
        const none = { expectedRevision: revision(0) };
        await committed(storage, put("a", 0, none));
        expect(await rejection(commitOf(put("a", 1, none)))).toEqual({
          kind: "revision-mismatch",
          revision: 1n,
        });
        expect(await rejection(commitOf(put("b", 1, { expectedRevision: revision(1) })))).toEqual({
          kind: "revision-mismatch",
          revision: 0n,
        });
        await committed(storage, put("a", 1, { expectedRevision: revision(1) }));
      });

      test("says that the slot moved before it says that the revision did", async () => {
        await committed(storage, put("a", 0));
        const stale = put("a", 0, { expectedRevision: revision(0) });
        expect(await rejection(commitOf(stale))).toEqual({ kind: "slot-moved" });
      });

      test("of the next number wants one past the largest ever used", async () => {
        expect(await rejection(commitOf(put("a", 1, { mustBeNext: true })))).toEqual({ kind: "slot-moved" });
        await committed(storage, put("a", 0, { mustBeNext: true }));
        await committed(storage, put("a", 7));
        await committed(storage, setState("a", 7, "destroyed"));
        expect(await rejection(commitOf(put("a", 1, { mustBeNext: true })))).toEqual({ kind: "slot-moved" });
        await committed(storage, put("a", 8, { mustBeNext: true }));
      });

      test("stops at the largest number of slots, overwrites apart", async () => {
        const first = put("a", 0, { maxSlots: 2 });
        await committed(storage, first);
        await committed(storage, put("a", 1, { maxSlots: 2 }));
        expect(await rejection(commitOf(put("a", 2, { maxSlots: 2 })))).toEqual({ kind: "too-many-slots" });
        await committed(storage, put("a", 0, { maxSlots: 2, replaces: first.versionId }));
      });

      test("takes every number exactly", async () => {
        const numbers = [0n, 2n ** 31n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n];
        for (const number of numbers) await committed(storage, put("a", number));
        for (const number of numbers) {
          expect(storage.readSlot(name("a"), slot(number)).slot?.slot).toBe(number);
          expect(storage.readEffectiveAt(name("a"), slot(number)).slot?.slot).toBe(number);
        }
        expect(currentOf("a").slot?.slot).toBe(2n ** 63n - 1n);
      });

      test("keeps an empty and a large value as they are", async () => {
        for (const length of [0, 1, 65_536, 1_048_576]) {
          const record = { ...sealed("x"), ciphertext: new Uint8Array(length).fill(7) };
          await committed(storage, put(`v/${length}`, 0, { record, size: length }));
          const read = currentOf(`v/${length}`).slot;
          expect(read?.size).toBe(length);
          expect(Buffer.compare(read!.record!.ciphertext, record.ciphertext)).toBe(0);
        }
      });

      test("takes only the bytes of a view, not of the buffer behind it", async () => {
        const backing = new Uint8Array(1_000_000).fill(1);
        backing.set(bytes("view", 48), 500);
        const record = { ...sealed("x"), ciphertext: backing.subarray(500, 548) };
        await committed(storage, put("a", 0, { record }));
        expect(plain(currentOf("a").slot?.record?.ciphertext)).toBe(plain(bytes("view", 48)));
      });
    });

    describe("slot states", () => {
      test("disabling the current slot makes the next one current, with a new state", async () => {
        await committed(storage, put("a", 0));
        await committed(storage, put("a", 5));
        await committed(storage, setState("a", 5, "disabled"));
        expect(secretOf("a")).toMatchObject({
          currentSlot: 0n,
          revision: 3n,
          stateRevision: 3n,
          disabledCount: 1,
        });
        await committed(storage, put("a", 3));
        expect(secretOf("a")).toMatchObject({ currentSlot: 3n, stateRevision: 4n });
      });

      test("disabling and enabling again ends in a new state of the same version", async () => {
        const first = put("a", 0);
        await committed(storage, first, { time: 10 });
        await committed(storage, setState("a", 0, "disabled"), { time: 20 });
        expect(secretOf("a")).toMatchObject({ currentSlot: undefined, stateRevision: 2n });
        await committed(storage, setState("a", 0, "enabled"), { time: 30 });
        expect(secretOf("a")).toMatchObject({ currentSlot: 0n, stateRevision: 3n, enabledCount: 1 });
        const after = currentOf("a").slot!;
        expect(after).toMatchObject({ createTime: 10, updateTime: 30, revision: 3n, valueRevision: 1n });
        expect(plain(after.record)).toEqual(plain(first.record));
      });

      test("a change to a slot that is not current makes no new state", async () => {
        await committed(storage, put("a", 0));
        await committed(storage, put("a", 5));
        await committed(storage, setState("a", 0, "disabled"));
        await committed(storage, setState("a", 0, "destroyed"));
        expect(secretOf("a")).toMatchObject({ revision: 4n, stateRevision: 2n, currentSlot: 5n });
      });

      test("destroying takes the record away for good and keeps the number", async () => {
        await committed(storage, put("a", 0));
        const result = await committed(storage, setState("a", 0, "destroyed"));
        expect(result.slot).toMatchObject({ state: "destroyed", size: 0, revision: 2n, valueRevision: 1n });
        const read = storage.readSlot(name("a"), slot(0)).slot;
        expect(read).toMatchObject({ state: "destroyed", size: 0, record: undefined });
        expect(secretOf("a")).toMatchObject({ destroyedCount: 1, slotCount: 1, lastSlot: 0n });
        for (const state of ["enabled", "disabled"] as const) {
          expect(await rejection(commitOf(setState("a", 0, state)))).toEqual({ kind: "slot-destroyed" });
        }
      });

      test("already so is unchanged, even where another revision is expected", async () => {
        await committed(storage, put("a", 0));
        await committed(storage, put("a", 1));
        const outcome = await storage.commit(commitOf(setState("a", 0, "enabled", revision(99))));
        expect(outcome).toMatchObject({ kind: "unchanged", result: { revision: 2n, slot: { slot: 0n } } });
        expect(storage.head().revision).toBe(2n);
      });

      test("refuses what is not there and what has moved", async () => {
        expect(await rejection(commitOf(setState("a", 0, "disabled")))).toEqual({ kind: "secret-not-found" });
        await committed(storage, put("a", 0));
        expect(await rejection(commitOf(setState("a", 1, "disabled")))).toEqual({ kind: "slot-not-found" });
        expect(await rejection(commitOf(setState("a", 0, "disabled", revision(9))))).toEqual({
          kind: "revision-mismatch",
          revision: 1n,
        });
        expect(storage.head().revision).toBe(1n);
      });
    });

    describe("secrets", () => {
      test("an update keeps what it leaves out and makes no new state", async () => {
        await committed(storage, put("a", 0));
        const secret = name("a");
        await committed(storage, { kind: "update-secret", name: secret, comment: "db" });
        await committed(storage, {
          kind: "update-secret",
          name: secret,
          labels: { team: "pay", constructor: "x" },
        });
        expect(secretOf("a")).toMatchObject({ comment: "db", labels: { team: "pay", constructor: "x" } });
        expect(secretOf("a")).toMatchObject({ revision: 3n, stateRevision: 1n });
        const same = await storage.commit(commitOf({ kind: "update-secret", name: secret, comment: "db" }));
        expect(same).toMatchObject({ kind: "unchanged", result: { revision: 3n } });
        await committed(storage, { kind: "update-secret", name: secret, labels: {} });
        expect(secretOf("a").labels).toEqual({});
      });

      test("an update checks the revision it expects", async () => {
        const update = { kind: "update-secret", name: name("a"), comment: "x" } as const;
        expect(await rejection(commitOf(update))).toEqual({ kind: "secret-not-found" });
        await committed(storage, put("a", 0));
        expect(await rejection(commitOf({ ...update, expectedRevision: revision(2) }))).toEqual({
          kind: "revision-mismatch",
          revision: 1n,
        });
      });

      test("one that is deleted and made again is another secret", async () => {
        await committed(storage, put("a", 5));
        await committed(storage, { kind: "update-secret", name: name("a"), comment: "old" });
        await committed(storage, { kind: "delete-secret", name: name("a") });
        expect(currentOf("a")).toMatchObject({ secret: undefined, slot: undefined, deletedRevision: 3n });
        await committed(storage, put("a", 1));
        expect(secretOf("a")).toMatchObject({
          bornRevision: 4n,
          stateRevision: 4n,
          comment: "",
          lastSlot: 1n,
        });
        expect(currentOf("a").deletedRevision).toBe(3n);
        expect(storage.readSlot(name("a"), slot(5)).slot).toBeUndefined();
      });

      test("a deletion checks the revision it expects", async () => {
        const del = { kind: "delete-secret", name: name("a") } as const;
        expect(await rejection(commitOf(del))).toEqual({ kind: "secret-not-found" });
        await committed(storage, put("a", 0));
        expect(await rejection(commitOf({ ...del, expectedRevision: revision(7) }))).toEqual({
          kind: "revision-mismatch",
          revision: 1n,
        });
        await committed(storage, { ...del, expectedRevision: revision(1) });
      });

      test("are listed by ranges in byte order", async () => {
        for (const secret of ["b", "a-b", "a/c", "a", "a.b", "B", "a/b"])
          await committed(storage, put(secret, 0));
        const list = (from: string, until?: string, limit = 100) =>
          storage
            .listSecrets(until === undefined ? { from } : { from, until }, limit)
            .secrets.map((s) => s.name);
        expect(list("")).toEqual(["B", "a", "a-b", "a.b", "a/b", "a/c", "b"]);
        expect(list("a/", "a0")).toEqual(["a/b", "a/c"]);
        expect(list("a", "b", 2)).toEqual(["a", "a-b"]);
        expect(list("a-b\0")).toEqual(["a.b", "a/b", "a/c", "b"]);
      });

      test("list their slots by number, state and last change, in pages", async () => {
        for (const number of [10, 0, 7, 2n ** 40n]) await committed(storage, put("a", number));
        await committed(storage, setState("a", 7, "disabled"));
        const list = (query: Partial<Parameters<Storage["listSlots"]>[1]>) =>
          storage.listSlots(name("a"), { limit: 100, withRecords: false, ...query }).slots.map((s) => s.slot);
        expect(list({})).toEqual([0n, 7n, 10n, 2n ** 40n]);
        expect(list({ limit: 2 })).toEqual([0n, 7n]);
        expect(list({ after: slot(7) })).toEqual([10n, 2n ** 40n]);
        expect(list({ state: "enabled" })).toEqual([0n, 10n, 2n ** 40n]);
        expect(list({ changedAfter: revision(3) })).toEqual([2n ** 40n, 7n]);
        expect(list({ changedAfter: revision(0) })).toEqual([10n, 0n, 2n ** 40n, 7n]);
        const [first] = storage.listSlots(name("a"), { limit: 1, withRecords: true }).slots;
        expect(first?.record?.keyId).toBe("key-1");
      });
    });

    describe("repeated requests", () => {
      const request = { id: "r", digest: bytes("content", 32), expireTime: 2_000_000 };

      test("get the first answer again, whatever has happened since", async () => {
        const first = await committed(storage, put("a", 0), { request });
        await committed(storage, put("a", 1));
        const again = await storage.commit(commitOf(put("a", 0), { request }));
        expect(plain(again)).toEqual(plain({ kind: "replayed", result: first }));
        expect(storage.head().revision).toBe(2n);
      });

      test("with other content are refused", async () => {
        await committed(storage, put("a", 0), { request });
        const other = { ...request, digest: bytes("other", 32) };
        expect(await rejection(commitOf(put("a", 1), { request: other }))).toEqual({
          kind: "request-id-reused",
        });
      });

      test("are told apart by principal and by RPC", async () => {
        await committed(storage, put("a", 0), { request });
        await committed(storage, put("a", 1), { request, principal: "token:other" });
        await committed(storage, put("a", 2), { request, rpc: "Other" });
        expect(storage.findRequest("token:other", "Test", "r")?.result.slot?.slot).toBe(1n);
        expect(storage.findRequest("token:nobody", "Test", "r")).toBeUndefined();
      });

      test("do not count once they have ended, nor when they were refused", async () => {
        await committed(storage, put("a", 0), { request });
        await committed(storage, put("a", 1), { request, time: 2_000_000 });
        const refused = { ...request, id: "refused" };
        expect(await rejection(commitOf(put("a", 1), { request: refused }))).toEqual({ kind: "slot-moved" });
        expect(storage.findRequest("token:admin", "Test", "refused")).toBeUndefined();
      });

      test("are kept for what changed nothing, too", async () => {
        await committed(storage, put("a", 0));
        const unchanged = commitOf(setState("a", 0, "enabled"), { request });
        expect(await storage.commit(unchanged)).toMatchObject({ kind: "unchanged" });
        expect(await storage.commit(unchanged)).toMatchObject({ kind: "replayed", result: { revision: 1n } });
        const kept = { ...request, id: "kept" };
        const result = { epoch: storage.head().epoch, revision: revision(1), secret: secretOf("a") };
        await storage.commit(commitOf({ kind: "keep-request", result }, { request: kept }));
        const replay = await storage.commit(commitOf(put("a", 9), { request: kept }));
        expect(plain(replay)).toEqual(plain({ kind: "replayed", result }));
        expect(storage.head().revision).toBe(1n);
      });
    });

    describe("access", () => {
      const token = (id: string, createTime: number) => ({
        tokenId: id,
        hash: bytes(id, 32),
        principal: `token:${id}`,
        groups: ["ops", "dev"],
        comment: "for tests",
        createTime,
        expireTime: 9_000_000,
        revokeTime: undefined,
      });
      const policy = (policyName: string) => ({
        name: policyName,
        comment: "",
        rules: [{ actions: ["read" as const, "watch" as const], names: ["a/*"] }],
        principals: ["token:x"],
        groups: ["ops"],
      });

      test("tokens are found by their hash and move the access revision", async () => {
        await committed(storage, put("a", 0));
        await committed(storage, { kind: "create-token", token: token("t1", 5) });
        expect(storage.head()).toMatchObject({ revision: 2n, accessRevision: 2n });
        expect(plain(storage.findToken(bytes("t1", 32)).token)).toEqual(plain(token("t1", 5)));
        const revoked = await committed(storage, { kind: "revoke-token", tokenId: "t1" }, { time: 77 });
        expect(revoked.token).toMatchObject({ tokenId: "t1", revokeTime: 77 });
        expect(storage.findToken(bytes("t1", 32))).toMatchObject({
          head: { accessRevision: 3n },
          token: { revokeTime: 77 },
        });
        const again = await storage.commit(commitOf({ kind: "revoke-token", tokenId: "t1" }));
        expect(again).toMatchObject({ kind: "unchanged", result: { token: { revokeTime: 77 } } });
        expect(await rejection(commitOf({ kind: "revoke-token", tokenId: "t9" }))).toEqual({
          kind: "token-not-found",
        });
      });

      test("tokens are listed by create time, then id", async () => {
        for (const [id, time] of [
          ["b", 2] as const,
          ["z", 1] as const,
          ["a", 2] as const,
          ["c", 3] as const,
        ]) {
          await committed(storage, { kind: "create-token", token: token(id, time) });
        }
        const list = (after?: string, limit = 10) =>
          storage.listTokens(after, limit).tokens.map((t) => t.tokenId);
        expect(list()).toEqual(["z", "a", "b", "c"]);
        expect(list(undefined, 2)).toEqual(["z", "a"]);
        expect(list("a", 2)).toEqual(["b", "c"]);
        expect(list("c")).toEqual([]);
        expect(list("never seen")).toEqual([]);
      });

      test("policies are replaced whole, at the access revision that was decided on", async () => {
        await committed(storage, { kind: "replace-policies", policies: [policy("z"), policy("a")] });
        expect(storage.readAccess()).toEqual({ head: storage.head(), policies: [policy("a"), policy("z")] });
        const stale = {
          kind: "replace-policies",
          policies: [],
          expectedAccessRevision: revision(0),
        } as const;
        expect(await rejection(commitOf(stale))).toEqual({ kind: "access-moved" });
        await committed(storage, { ...stale, expectedAccessRevision: revision(1) });
        expect(storage.readPolicies()).toEqual([]);
        expect(storage.head()).toMatchObject({ revision: 2n, accessRevision: 2n });
      });
    });

    describe("keys", () => {
      const key = (keyId: string) => ({ keyId, primary: false, check: bytes(keyId, 40), createTime: 5 });

      test("the first master key becomes the primary, known ones stay as they are", async () => {
        await storage.addMasterKeys([key("key-1"), key("key-2")]);
        await storage.addMasterKeys([{ ...key("key-1"), createTime: 99 }]);
        expect(plain(storage.masterKeys())).toEqual(
          plain([{ ...key("key-1"), primary: true }, key("key-2")]),
        );
        expect(storage.head().revision).toBe(0n);
      });

      test("another primary makes a revision, and no access revision", async () => {
        await storage.addMasterKeys([key("key-1")]);
        await committed(storage, { kind: "set-primary-key", key: key("key-2") });
        expect(storage.masterKeys().map((k) => [k.keyId, k.primary])).toEqual([
          ["key-1", false],
          ["key-2", true],
        ]);
        expect(storage.head()).toMatchObject({ revision: 1n, accessRevision: 0n });
        const same = await storage.commit(commitOf({ kind: "set-primary-key", key: key("key-2") }));
        expect(same).toMatchObject({ kind: "unchanged" });
      });

      test("one that is in use can't be retired", async () => {
        await storage.addMasterKeys([key("key-1"), key("key-2"), key("key-3")]);
        await storage.putStoreKeys([{ purpose: "audit", keyId: "key-2", wrappedKey: bytes("w", 60) }]);
        await committed(storage, put("a", 0, { record: sealed("x", "key-2") }));
        const retire = (keyId: string) => commitOf({ kind: "retire-master-key", keyId });
        expect(await rejection(retire("key-1"))).toEqual({ kind: "key-in-use", count: 0n });
        expect(await rejection(retire("key-2"))).toEqual({ kind: "key-in-use", count: 2n });
        expect(await rejection(retire("key-9"))).toEqual({ kind: "key-not-found" });
        await committed(storage, { kind: "retire-master-key", keyId: "key-3" });
        expect(storage.masterKeys().map((k) => k.keyId)).toEqual(["key-1", "key-2"]);
        expect(storage.head()).toMatchObject({ revision: 2n, accessRevision: 0n });
      });

      test("one that was retired wraps nothing new", async () => {
        const old = put("a", 0);
        await committed(storage, old);
        await storage.addMasterKeys([key("key-2"), key("key-1"), key("key-3")]);
        await committed(storage, { kind: "retire-master-key", keyId: "key-3" });
        const late = { replaces: old.versionId, record: sealed("late", "key-3") };
        expect(await rejection(commitOf(put("a", 0, late)))).toEqual({ kind: "key-moved" });
        expect(await rejection(commitOf(put("a", 1, { record: late.record })))).toEqual({
          kind: "key-moved",
        });
        const { rows } = storage.listWrappedBy("key-1", undefined, 10);
        const items = rows.map((row) => ({ ...row, keyId: "key-3", wrappedKey: bytes("again", 60) }));
        expect(await storage.rewrap(items)).toBe(0);
        await storage.putStoreKeys([{ purpose: "audit", keyId: "key-3", wrappedKey: bytes("w", 60) }]);
        expect(storage.storeKeys()).toEqual([]);
        expect(await storage.countWrappedBy("key-3")).toBe(0n);
      });

      test("store keys are one for each purpose", async () => {
        await storage.putStoreKeys([
          { purpose: "request-digest", keyId: "key-1", wrappedKey: bytes("1", 60) },
          { purpose: "audit", keyId: "key-1", wrappedKey: bytes("2", 60) },
        ]);
        await storage.putStoreKeys([{ purpose: "audit", keyId: "key-2", wrappedKey: bytes("3", 60) }]);
        expect(storage.storeKeys().map((k) => [k.purpose, k.keyId])).toEqual([
          ["audit", "key-2"],
          ["request-digest", "key-1"],
        ]);
      });

      test("a store key is added where there is none, and what is there stays", async () => {
        const audit = (fill: string) =>
          ({ purpose: "audit", keyId: "key-1", wrappedKey: bytes(fill, 60) }) as const;
        await storage.addStoreKeys([audit("1")]);
        await storage.addStoreKeys([
          audit("2"),
          { purpose: "request-digest", keyId: "key-1", wrappedKey: bytes("3", 60) },
        ]);
        const wrapped = storage.storeKeys().map(({ wrappedKey }) => Buffer.from(wrappedKey).toString("hex"));
        expect(wrapped).toEqual(["1", "3"].map((fill) => Buffer.from(bytes(fill, 60)).toString("hex")));
      });

      test("rewrapping touches versions that are still there, and makes no revision", async () => {
        const old = put("a", 0);
        await committed(storage, old);
        await committed(storage, put("a", 1));
        await committed(storage, put("b", 0));
        await committed(storage, put("a", 0, { replaces: old.versionId, record: sealed("new", "key-2") }));
        expect(await storage.countWrappedBy("key-1")).toBe(2n);
        const first = storage.listWrappedBy("key-1", undefined, 1);
        expect(first.rows).toHaveLength(1);
        const rest = storage.listWrappedBy("key-1", first.next, 10);
        const rows = [...first.rows, ...rest.rows];
        expect(rest.next).toBeUndefined();
        expect(rows.map((row) => `${row.name}:${row.slot}`).sort()).toEqual(["a:1", "b:0"]);
        const gone = { ...rows[0]!, name: name("a"), slot: slot(0), versionId: old.versionId };
        const items = [...rows, gone].map((row) => ({
          ...row,
          keyId: "key-3",
          wrappedKey: bytes("again", 60),
        }));
        expect(await storage.rewrap(items)).toBe(2);
        expect(await storage.countWrappedBy("key-3")).toBe(2n);
        const record = storage.readSlot(name("a"), slot(1)).slot!.record!;
        expect(plain(record.wrappedKey)).toBe(plain(bytes("again", 60)));
        expect(storage.head().revision).toBe(4n);
      });
    });

    describe("the log of changes", () => {
      test("has one record for each revision", async () => {
        const commitId = bytes("commit");
        const request = { id: "r", digest: bytes("d", 32), expireTime: 2_000_000 };
        await committed(storage, put("a", 3), {
          commitId,
          request,
          principal: "token:p",
          rpc: "PutSlot",
          time: 5,
        });
        await committed(storage, setState("a", 3, "disabled"));
        await committed(storage, { kind: "delete-secret", name: name("a") });
        const { changes } = storage.changesAfter(revision(0), 10);
        expect(changes.map((c) => [c.revision, c.kind])).toEqual([
          [1n, "slot-put"],
          [2n, "slot-disabled"],
          [3n, "secret-deleted"],
        ]);
        expect(plain(storage.changeAt(revision(1)))).toEqual(
          plain({
            revision: 1n,
            commitId,
            time: 5,
            kind: "slot-put",
            name: "a",
            slot: 3n,
            principal: "token:p",
            rpc: "PutSlot",
            requestId: "r",
          }),
        );
        expect(storage.changesAfter(revision(1), 1).changes.map((c) => c.revision)).toEqual([2n]);
        expect(storage.changeAt(revision(4))).toBeUndefined();
      });

      test("is pruned by time, and the floor says up to where", async () => {
        const request = { id: "r", digest: bytes("d", 32), expireTime: 500 };
        for (let time = 1; time <= 5; time += 1)
          await committed(storage, put("a", time), {
            time: time * 100,
            request: { ...request, id: `${time}` },
          });
        await committed(storage, { kind: "delete-secret", name: name("a") }, { time: 600 });
        await committed(storage, put("a", 1), { time: 700 });
        await storage.prune(350, 499);
        expect(storage.changesAfter(revision(0), 10)).toMatchObject({ floor: 3n });
        expect(storage.changesAfter(revision(0), 10).changes.map((c) => c.revision)).toEqual([
          4n,
          5n,
          6n,
          7n,
        ]);
        expect(storage.readSecret(name("a"))).toMatchObject({ floor: 3n, deletedRevision: 6n });
        expect(storage.findRequest("token:admin", "Test", "1")).toBeDefined();
        await storage.prune(10_000, 10_000);
        expect(storage.readSecret(name("a"))).toMatchObject({ floor: 6n, deletedRevision: 0n });
        expect(storage.changeAt(storage.head().revision)?.kind).toBe("slot-put");
        expect(storage.findRequest("token:admin", "Test", "1")).toBeUndefined();
        expect(storage.head().revision).toBe(7n);
      });

      test("knows a deletion for as long as its change is kept, also when the clock was set back (W8)", async () => {
        await committed(storage, put("a", 0), { time: 100 });
        await committed(storage, put("b", 0), { time: 900 });
        await committed(storage, { kind: "delete-secret", name: name("a") }, { time: 200 });
        await committed(storage, put("b", 1), { time: 910 });
        await storage.prune(500, 500);
        expect(storage.readSecret(name("a"))).toMatchObject({ floor: 1n, deletedRevision: 3n });
        await storage.prune(905, 905);
        expect(storage.readSecret(name("a"))).toMatchObject({ floor: 3n, deletedRevision: 0n });
      });

      test("a name that was deleted twice is known as deleted until the second time is forgotten", async () => {
        await committed(storage, put("a", 0), { time: 100 });
        await committed(storage, { kind: "delete-secret", name: name("a") }, { time: 200 });
        await committed(storage, put("a", 0), { time: 300 });
        await committed(storage, { kind: "delete-secret", name: name("a") }, { time: 400 });
        await committed(storage, put("b", 0), { time: 500 });
        await storage.prune(350, 350);
        expect(storage.readSecret(name("a"))).toMatchObject({ floor: 3n, deletedRevision: 4n });
        await storage.prune(450, 450);
        expect(storage.readSecret(name("a"))).toMatchObject({ floor: 4n, deletedRevision: 0n });
      });

      test("is pruned in parts, to the same end", async () => {
        const many = 6000;
        for (let from = 0; from < many; from += 2000) {
          const commits = Array.from({ length: 2000 }, (_, index) => {
            const number = from + index;
            return commitOf(put(`s/${number % 100}`, number), { time: number });
          });
          await Promise.all(commits.map((commit) => storage.commit(commit)));
        }
        await storage.prune(5500, 5500);
        expect(storage.changesAfter(revision(0), 1000)).toMatchObject({ floor: 5500n });
        expect(storage.changesAfter(revision(0), 1000).changes).toHaveLength(500);
        await storage.prune(many, many);
        expect(storage.changesAfter(revision(0), 1000).changes).toHaveLength(1);
      });
    });

    test("audit anchors are kept by chain", async () => {
      const anchor = {
        chain: "c1",
        records: 5n,
        head: bytes("h", 32),
        revision: revision(0),
        time: 9,
        closed: false,
      };
      await storage.putAuditAnchors([anchor, { ...anchor, chain: "c0" }]);
      await storage.putAuditAnchors([{ ...anchor, records: 6n, closed: true }]);
      expect(plain(storage.auditAnchors())).toEqual(
        plain([
          { ...anchor, chain: "c0" },
          { ...anchor, records: 6n, closed: true },
        ]),
      );
    });

    test("a new epoch keeps the revision and rings", async () => {
      await committed(storage, put("a", 0));
      const before = storage.head();
      const ring = vi.fn();
      storage.onCommit(ring);
      const epoch = await storage.newEpoch();
      expect(storage.head()).toEqual({ ...before, epoch });
      expect(epoch).not.toBe(before.epoch);
      await vi.waitFor(() => expect(ring).toHaveBeenCalled(), { timeout: 20_000 });
    });

    test("commits ring until they are told to stop", async () => {
      const [first, second] = [vi.fn(), vi.fn()];
      const stop = storage.onCommit(first);
      storage.onCommit(second);
      await committed(storage, put("a", 0));
      await vi.waitFor(() => expect(first).toHaveBeenCalled(), { timeout: 20_000 });
      stop();
      const before = first.mock.calls.length;
      await committed(storage, put("a", 1));
      await vi.waitFor(() => expect(second.mock.calls.length).toBeGreaterThan(1), { timeout: 20_000 });
      expect(first.mock.calls.length).toBe(before);
    });

    test("a commit is to be seen once it was answered, and revisions have no gaps", async () => {
      const results = await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const result = await committed(storage, put(`n/${index}`, 0));
          expect(storage.head().revision).toBeGreaterThanOrEqual(result.revision);
          expect(storage.readSecret(result.secret!.name).secret?.revision).toBe(result.revision);
          return result.revision;
        }),
      );
      expect([...results].sort((a, b) => Number(a - b))).toEqual(
        results.map((_, index) => BigInt(index + 1)),
      );
    });

    test("of many who want the same number, one gets it", async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, () => storage.commit(commitOf(put("a", 0, { mustBeNext: true })))),
      );
      expect(outcomes.filter((outcome) => outcome.kind === "committed")).toHaveLength(1);
      expect(storage.head().revision).toBe(1n);
    });

    test("the two rules agree with their definition", async () => {
      const numbers = fc.oneof(fc.bigInt(0n, 20n), fc.bigInt(0n, 2n ** 63n - 1n));
      const state = fc.constantFrom("enabled" as const, "disabled" as const, "destroyed" as const);
      const slots = fc.uniqueArray(fc.record({ slot: numbers, state }), {
        minLength: 1,
        maxLength: 12,
        selector: (entry) => entry.slot,
      });
      await fc.assert(
        fc.asyncProperty(slots, fc.array(numbers, { maxLength: 5 }), async (entries, moments) => {
          const secret = fresh();
          await Promise.all(
            entries.map(async (entry) => {
              const staged = entry.state === "enabled" ? "enabled" : "disabled";
              await committed(storage, put(secret, entry.slot, { state: staged }));
              if (entry.state === "destroyed")
                await committed(storage, setState(secret, entry.slot, "destroyed"));
            }),
          );
          const model = entries.map((entry) => ({ slot: slot(entry.slot), state: entry.state }));
          expect(currentOf(secret).slot?.slot).toBe(current(model)?.slot);
          expect(secretOf(secret).currentSlot).toBe(current(model)?.slot);
          const near = entries.flatMap(({ slot: at }) => [at - 1n, at, at + 1n]);
          for (const at of [...near, ...moments].filter((moment) => moment >= 0n && moment < 2n ** 63n)) {
            const read = storage.readEffectiveAt(name(secret), slot(at)).slot;
            expect(read?.slot).toBe(effectiveAt(model, slot(at))?.slot);
          }
        }),
        { numRuns: 40 },
      );
    }, 120_000);
  });

  test(`${engine} does what the reference does in random histories`, async () => {
    await fc.assert(
      fc.asyncProperty(turns, async (history) => {
        const storage = await open();
        try {
          await compareWithReference(storage, history);
        } finally {
          await storage.close();
        }
      }),
      { numRuns: 20 },
    );
  }, 180_000);
}
