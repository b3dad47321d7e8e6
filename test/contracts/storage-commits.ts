import { createHash } from "node:crypto";
import { parseSecretName, type SecretName } from "../../src/domain/names.ts";
import type { Revision, SlotNumber } from "../../src/domain/numbers.ts";
import type { SealedRecord } from "../../src/domain/sealed-record.ts";
import type {
  Commit,
  CommitOutcome,
  CommitResult,
  Mutation,
  PutSlotMutation,
} from "../../src/storage/commit.ts";
import type { Storage } from "../../src/storage/storage.ts";

export const name = (text: string): SecretName => parseSecretName(text);
export const slot = (number: bigint | number): SlotNumber => BigInt(number) as SlotNumber;
export const revision = (number: bigint | number): Revision => BigInt(number) as Revision;

/** Bytes that are the same for the same text in every run. */
export function bytes(text: string, length = 16): Uint8Array {
  return new Uint8Array(createHash("shake128", { outputLength: length }).update(text).digest());
}

let counter = 0;

/** Another text each time. */
export function fresh(): string {
  counter += 1;
  return `fresh-${counter}`;
}

export function sealed(text: string, keyId = "key-1"): SealedRecord {
  return { keyId, wrappedKey: bytes(`wrapped ${text}`, 60), ciphertext: bytes(`sealed ${text}`, 48) };
}

export function commitOf(mutation: Mutation, more: Partial<Omit<Commit, "mutation">> = {}): Commit {
  const commitId = bytes(fresh());
  return { commitId, time: 1_000_000, principal: "token:admin", rpc: "Test", ...more, mutation };
}

type PutOptions = Partial<Omit<PutSlotMutation, "kind" | "name" | "slot">>;

export function put(secret: string, number: bigint | number, options: PutOptions = {}): PutSlotMutation {
  const text = fresh();
  return {
    kind: "put-slot",
    name: name(secret),
    slot: slot(number),
    state: "enabled",
    versionId: bytes(text),
    record: sealed(text),
    size: 32,
    replaces: undefined,
    maxSlots: 10_000,
    ...options,
  };
}

export function setState(
  secret: string,
  number: bigint | number,
  state: "enabled" | "disabled" | "destroyed",
  expectedRevision?: Revision,
): Mutation {
  const mutation = { kind: "set-slot-state", name: name(secret), slot: slot(number), state } as const;
  return expectedRevision === undefined ? mutation : { ...mutation, expectedRevision };
}

/** Commits what must succeed and make a revision. */
export async function committed(
  storage: Storage,
  mutation: Mutation,
  more: Partial<Omit<Commit, "mutation">> = {},
): Promise<CommitResult> {
  const outcome = await storage.commit(commitOf(mutation, more));
  if (outcome.kind !== "committed") throw new Error(`not committed: ${describe(outcome)}`);
  return outcome.result;
}

function describe(outcome: CommitOutcome): string {
  return outcome.kind === "rejected" ? outcome.rejection.kind : outcome.kind;
}

/** A copy in which bytes compare by content, whatever class holds them. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([key, field]) => [key, plain(field)]),
  );
}

/** The same, with the epoch left out: that alone differs between two stores of one history. */
export function comparable(value: unknown): unknown {
  const copy = plain(value);
  return JSON.parse(
    JSON.stringify(copy, (key, field: unknown) => {
      if (key === "epoch") return undefined;
      return typeof field === "bigint" ? `int:${field}` : field;
    }) ?? "null",
  );
}
