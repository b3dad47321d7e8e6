import fc from "fast-check";
import { expect } from "vitest";
import type { SecretName } from "../../src/domain/names.ts";
import type { Mutation } from "../../src/storage/commit.ts";
import { openMemoryStorage } from "../../src/storage/memory/memory-storage.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { bytes, commitOf, comparable, name, put, revision, sealed, slot } from "./storage-commits.ts";

const NAMES = ["a", "a/b", "b"];
const SLOTS = [0n, 1n, 5n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n];
const KEYS = ["key-1", "key-2", "key-3"];
const STATES = ["enabled", "disabled", "destroyed"] as const;

type Expected = "none" | "right" | "wrong";

/** One step of a random history; what depends on the state is filled in when it is run. */
type Step =
  | {
      readonly kind: "put";
      readonly name: string;
      readonly slot: bigint;
      readonly staged: boolean;
      readonly seen: "right" | "wrong";
      readonly expected: Expected;
      readonly mustBeNext: boolean;
      readonly key: string;
    }
  | {
      readonly kind: "state";
      readonly name: string;
      readonly slot: bigint;
      readonly state: (typeof STATES)[number];
      readonly expected: Expected;
    }
  | { readonly kind: "update"; readonly name: string; readonly comment: string; readonly expected: Expected }
  | { readonly kind: "delete"; readonly name: string; readonly expected: Expected }
  | { readonly kind: "token"; readonly id: string; readonly revoke: boolean }
  | { readonly kind: "policies"; readonly names: readonly string[]; readonly expected: Expected }
  | { readonly kind: "primary" | "retire"; readonly key: string }
  | { readonly kind: "rewrap"; readonly from: string; readonly to: string }
  | { readonly kind: "prune"; readonly back: number };

const oneName = fc.constantFrom(...NAMES);
const oneSlot = fc.constantFrom(...SLOTS);
const oneKey = fc.constantFrom(...KEYS);
const expected = fc.constantFrom<Expected>("none", "none", "right", "wrong");

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      name: oneName,
      slot: oneSlot,
      staged: fc.boolean(),
      seen: fc.constantFrom("right" as const, "right" as const, "right" as const, "wrong" as const),
      expected,
      mustBeNext: fc.constantFrom(false, false, false, true),
      key: oneKey,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("state" as const),
      name: oneName,
      slot: oneSlot,
      state: fc.constantFrom(...STATES),
      expected,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("update" as const),
      name: oneName,
      comment: fc.constantFrom("", "x", "y"),
      expected,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), name: oneName, expected }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("token" as const),
      id: fc.constantFrom("t1", "t2", "t3"),
      revoke: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("policies" as const),
      names: fc.uniqueArray(fc.constantFrom("p", "q", "r")),
      expected,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("primary" as const, "retire" as const), key: oneKey }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rewrap" as const), from: oneKey, to: oneKey }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("prune" as const), back: fc.nat({ max: 30 }) }) },
);

export interface Request {
  readonly id: string;
  readonly content: string;
}

export interface Turn {
  readonly step: Step;
  /** Few ids and contents, so that they meet again. */
  readonly request: Request | undefined;
}

export const turns: fc.Arbitrary<readonly Turn[]> = fc.array(
  fc.record({
    step,
    request: fc.option(
      fc.record({ id: fc.constantFrom("r1", "r2", "r3"), content: fc.constantFrom("same", "other") }),
      { nil: undefined, freq: 3 },
    ),
  }),
  { minLength: 10, maxLength: 50 },
);

/** Runs one history on an engine and on the reference, and compares every answer and then everything stored. */
export async function compareWithReference(engine: Storage, history: readonly Turn[]): Promise<void> {
  const reference = openMemoryStorage();
  let time = 1_000_000;
  for (const { step, request } of history) {
    time += 1;
    if (step.kind === "rewrap") {
      const { rows } = reference.listWrappedBy(step.from, undefined, 100);
      const items = rows.map((row) => ({ ...row, keyId: step.to, wrappedKey: bytes(`again ${time}`, 60) }));
      expect(await engine.rewrap(items)).toBe(await reference.rewrap(items));
    } else if (step.kind === "prune") {
      await Promise.all([engine, reference].map((storage) => storage.prune(time - step.back, time)));
    } else {
      const mutation = mutationOf(reference, step, time);
      if (mutation === undefined) continue;
      const key = request && {
        id: request.id,
        digest: bytes(request.content, 32),
        expireTime: time + 10,
      };
      const commit = commitOf(mutation, { time, ...(key && { request: key }) });
      const outcome = comparable(await engine.commit(commit));
      expect(outcome).toEqual(comparable(await reference.commit(commit)));
    }
    for (const secret of NAMES) {
      expect(comparable(engine.readCurrent(name(secret)))).toEqual(
        comparable(reference.readCurrent(name(secret))),
      );
    }
  }
  expect(await everything(engine)).toEqual(await everything(reference));
  await reference.close();
}

function mutationOf(
  reference: Storage,
  step: Exclude<Step, { kind: "rewrap" | "prune" }>,
  time: number,
): Mutation | undefined {
  switch (step.kind) {
    case "put": {
      const known = reference.readSlot(name(step.name), slot(step.slot)).slot?.versionId;
      const wrong = known === undefined ? bytes("unknown version") : undefined;
      return put(step.name, step.slot, {
        state: step.staged ? "disabled" : "enabled",
        versionId: bytes(`version ${time}`),
        record: sealed(`value ${time}`, step.key),
        replaces: step.seen === "right" ? known : wrong,
        mustBeNext: step.mustBeNext,
        maxSlots: 4,
        ...expectedOf(reference, name(step.name), step.expected),
      });
    }
    case "state": {
      const { state } = step;
      return {
        kind: "set-slot-state",
        name: name(step.name),
        slot: slot(step.slot),
        state,
        ...expectedOf(reference, name(step.name), step.expected),
      };
    }
    case "update":
      return {
        kind: "update-secret",
        name: name(step.name),
        comment: step.comment,
        labels: { team: step.comment },
        ...expectedOf(reference, name(step.name), step.expected),
      };
    case "delete":
      return {
        kind: "delete-secret",
        name: name(step.name),
        ...expectedOf(reference, name(step.name), step.expected),
      };
    case "token": {
      if (step.revoke) return { kind: "revoke-token", tokenId: step.id };
      if (reference.findToken(bytes(step.id, 32)).token !== undefined) return undefined;
      return { kind: "create-token", token: token(step.id, time) };
    }
    case "policies": {
      const policies = step.names.map((policy) => ({
        name: policy,
        comment: `at ${time}`,
        rules: [{ actions: ["read" as const], names: ["a*"] }],
        principals: ["token:x"],
        groups: [],
      }));
      const { accessRevision } = reference.head();
      const today = step.expected === "right" ? accessRevision : revision(accessRevision + 1n);
      return step.expected === "none"
        ? { kind: "replace-policies", policies }
        : { kind: "replace-policies", policies, expectedAccessRevision: today };
    }
    case "primary":
      return {
        kind: "set-primary-key",
        key: { keyId: step.key, primary: true, check: bytes(`check ${step.key}`, 32), createTime: time },
      };
    case "retire":
      return { kind: "retire-master-key", keyId: step.key };
    default:
      return step satisfies never;
  }
}

function token(id: string, time: number) {
  return {
    tokenId: id,
    hash: bytes(id, 32),
    principal: `token:${id}`,
    groups: ["ops"],
    comment: "",
    createTime: time,
    expireTime: undefined,
    revokeTime: undefined,
  };
}

function expectedOf(reference: Storage, secret: SecretName, wanted: Expected) {
  if (wanted === "none") return {};
  const today = reference.readSecret(secret).secret?.revision ?? 0n;
  return { expectedRevision: revision(wanted === "right" ? today : today + 1n) };
}

/** All that the port can tell of a store, read in pages of two. */
export async function everything(storage: Storage): Promise<unknown> {
  const counts = await Promise.all(KEYS.map((key) => storage.countWrappedBy(key)));
  const secrets = NAMES.map((text) => {
    const secret = name(text);
    return {
      whole: storage.listSlots(secret, { limit: 100, withRecords: true }),
      metas: storage.listSlots(secret, { limit: 100, withRecords: false }),
      states: STATES.map((state) => storage.listSlots(secret, { limit: 2, state, withRecords: false })),
      page: storage.listSlots(secret, { after: slot(1), limit: 2, withRecords: true }),
      changed: storage.listSlots(secret, { changedAfter: revision(10), limit: 100, withRecords: false }),
      at: SLOTS.map((at) => storage.readEffectiveAt(secret, slot(at)).slot),
      each: SLOTS.map((number) => storage.readSlot(secret, slot(number)).slot),
    };
  });
  return comparable({
    head: storage.head(),
    secrets,
    list: storage.listSecrets({ from: "" }, 100),
    range: storage.listSecrets({ from: "a", until: "b" }, 1),
    changes: storage.changesAfter(revision(0), 1000),
    oneChange: storage.changeAt(storage.head().revision),
    page: storage.changesAfter(revision(5), 2),
    requests: ["r1", "r2", "r3"].map((id) => storage.findRequest("token:admin", "Test", id)),
    access: storage.readAccess(),
    tokens: [storage.listTokens(undefined, 2), storage.listTokens("t1", 2)],
    keys: storage.masterKeys(),
    wrapped: counts.map((count, index) => [count, allWrappedBy(storage, KEYS[index] ?? "")]),
  });
}

function allWrappedBy(storage: Storage, keyId: string): string[] {
  const seen: string[] = [];
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const { rows, next } = storage.listWrappedBy(keyId, after, 2);
    seen.push(...rows.map((row) => JSON.stringify(comparable(row))));
    after = next;
  }
  return seen.sort();
}
