import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { MAX_NUMBER } from "./numbers.ts";
import type { ReplicaSnapshot } from "./replica.ts";
import { SecretState, type SlotRecord, type SlotTime } from "./secret-state.ts";
import { SecretValue } from "./secret-value.ts";
import type { ViewName } from "./watch-loop.ts";
import type { AbsentReasonName } from "./watch-secret.ts";

// The format is shared by all clients: clients/README.md, section 7.

const MAGIC = Buffer.from("SSCACHE1", "latin1");
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ABSENT: ReadonlySet<unknown> = new Set(["", "NOT_EXISTING", "NO_ENABLED_SLOT"]);

export type CacheContent = ReplicaSnapshot & { readonly view: ViewName };

/** The bytes of a cache file. */
export function encodeCache(
  { view, epoch, revision, resumeToken, states }: CacheContent,
  key: Uint8Array,
): Buffer {
  const secrets = Object.fromEntries([...states].map(([name, state]) => [name, encodeState(state)]));
  const payload = JSON.stringify({
    version: "1",
    view,
    epoch,
    revision: String(revision),
    resumeToken,
    savedAt: String(Math.trunc(Date.now() / 1000)),
    secrets,
  });
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(MAGIC);
  const sealed = Buffer.concat([cipher.update(payload, "utf8"), cipher.final()]);
  return Buffer.concat([MAGIC, nonce, sealed, cipher.getAuthTag()]);
}

/** What a cache file holds. Throws when it is damaged, of another key or of another format. */
export function decodeCache(file: Buffer, key: Uint8Array): CacheContent {
  const head = MAGIC.length + NONCE_BYTES;
  if (file.length < head + TAG_BYTES) throw new Error("the file is too short");
  if (!file.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error("the file is of another format");
  const decipher = createDecipheriv("aes-256-gcm", key, file.subarray(MAGIC.length, head), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(MAGIC).setAuthTag(file.subarray(-TAG_BYTES));
  const payload = Buffer.concat([decipher.update(file.subarray(head, -TAG_BYTES)), decipher.final()]);
  return decodePayload(JSON.parse(payload.toString("utf8")));
}

function encodeState(state: SecretState): unknown {
  return {
    revision: String(state.revision),
    absent: state.absent ?? "",
    slots: state.records.map(({ slot, commit, createTime, value }) => ({
      slot: String(slot),
      revision: String(commit),
      createTime: createTime ? `${createTime.seconds}.${String(createTime.nanos).padStart(9, "0")}` : "",
      ...(value === undefined ? { failed: true } : { value: Buffer.from(value.bytes()).toString("base64") }),
    })),
  };
}

function decodePayload(json: unknown): CacheContent {
  const root = object(json);
  const { view, secrets } = root;
  if (root.version !== "1" || (view !== "ALL_ENABLED" && view !== "CURRENT")) throw malformed();
  const epoch = text(root.epoch);
  return {
    view,
    epoch,
    revision: number(root.revision),
    resumeToken: text(root.resumeToken),
    states: new Map(
      Object.entries(object(secrets)).map(([name, state]) => [name, decodeState(name, epoch, state)]),
    ),
  };
}

function decodeState(name: string, epoch: string, json: unknown): SecretState {
  const { revision, absent, slots } = object(json);
  if (!ABSENT.has(absent) || !Array.isArray(slots)) throw malformed();
  const records = slots.map(decodeRecord);
  if (records.some(({ slot }, i) => i > 0 && records[i - 1]!.slot >= slot)) throw malformed();
  if ((absent === "") !== records.length > 0) throw malformed();
  return new SecretState({
    name,
    epoch,
    revision: number(revision),
    absent: absent === "" ? undefined : (absent as AbsentReasonName),
    records,
  });
}

function decodeRecord(json: unknown): SlotRecord {
  const { slot, revision, createTime, value, failed } = object(json);
  return {
    slot: number(slot),
    commit: number(revision),
    createTime: time(createTime),
    value: failed === true ? undefined : new SecretValue(Buffer.from(text(value), "base64")),
  };
}

function malformed(): Error {
  return new Error("the payload is malformed");
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed();
  return value as Record<string, unknown>;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw malformed();
  return value;
}

function number(value: unknown): bigint {
  if (typeof value !== "string" || !/^(0|[1-9][0-9]{0,18})$/.test(value)) throw malformed();
  const parsed = BigInt(value);
  if (parsed > MAX_NUMBER) throw malformed();
  return parsed;
}

function time(value: unknown): SlotTime | undefined {
  if (value === undefined || value === "") return undefined;
  const match = /^(-?[0-9]{1,18})\.([0-9]{9})$/.exec(text(value));
  if (match === null) throw malformed();
  return { seconds: BigInt(match[1]!), nanos: Number(match[2]) };
}
