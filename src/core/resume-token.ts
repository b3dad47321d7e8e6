import { createHash } from "node:crypto";
import { SlotsError } from "../domain/errors.ts";
import type { Revision } from "../domain/numbers.ts";

/**
 * Where a watch can be taken up again. A token grants nothing: whoever resumes is authorised anew, and all that
 * a forged one can do is to be told more or less often what it may see anyway. So it is not signed; its checksum
 * is against damage only.
 */
export interface ResumePoint {
  readonly rpc: "WatchSecret" | "WatchSlots";
  /** What the token is bound to besides the RPC: the name, or the view. */
  readonly subject: string;
  readonly epoch: string;
  /** The store's revision that was told in full; "nothing" when none was yet. */
  readonly told: Revision | "nothing";
  /** The random id of the commit at `told`: tells this history from a fork of it. 16 bytes. */
  readonly commitId: Uint8Array;
  /** Which names were told, as `nameDigest`; for WatchSlots. */
  readonly names: readonly string[];
}

const VERSION = 1;
const RPCS = ["WatchSecret", "WatchSlots"] as const;
const MAX_TOKEN_LENGTH = 16 * 1024;
const NAME_DIGEST_BYTES = 8;
const HEADER_BYTES = 1 + 1 + 1 + 8 + 16 + 16 + 8;
const CHECKSUM_BYTES = 4;

/** 64 bits: of 1,000 names, two are taken for one with a chance of 10^-13, and then only a `begin` is saved. */
export function nameDigest(name: string): string {
  return digest(name, NAME_DIGEST_BYTES).toString("latin1");
}

export function encodeResumeToken(point: ResumePoint): string {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = VERSION;
  header[1] = RPCS.indexOf(point.rpc);
  header[2] = point.told === "nothing" ? 0 : 1;
  header.writeBigUInt64BE(point.told === "nothing" ? 0n : point.told, 3);
  header.set(Buffer.from(point.epoch, "hex"), 11);
  header.set(point.commitId, 27);
  header.set(digest(point.subject, 8), 43);
  const names = Buffer.from(point.names.join(""), "latin1");
  const body = Buffer.concat([header, names]);
  return Buffer.concat([body, digest(body, CHECKSUM_BYTES)]).toString("base64url");
}

/** Throws BAD_RESUME_TOKEN for whatever was not made by `encodeResumeToken` for the same RPC and subject. */
export function decodeResumeToken(text: string, expected: Pick<ResumePoint, "rpc" | "subject">): ResumePoint {
  // The length is bounded before anything is decoded, and base64url that does not come out the same is refused.
  if (text.length > MAX_TOKEN_LENGTH) throw bad(`must be at most ${MAX_TOKEN_LENGTH} characters`);
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw bad("is damaged: send it as the server gave it");
  const body = bytes.subarray(0, -CHECKSUM_BYTES);
  if (
    body.length < HEADER_BYTES ||
    (body.length - HEADER_BYTES) % NAME_DIGEST_BYTES !== 0 ||
    body[0] !== VERSION ||
    !isTold(body)
  ) {
    throw bad("is damaged: send it as the server gave it");
  }
  if (!digest(body, CHECKSUM_BYTES).equals(bytes.subarray(-CHECKSUM_BYTES))) {
    throw bad("is damaged: send it as the server gave it");
  }
  const rpc = RPCS[body[1] ?? RPCS.length];
  if (rpc !== expected.rpc || !digest(expected.subject, 8).equals(body.subarray(43, 51))) {
    throw bad("is of another RPC, name or view");
  }
  const names: string[] = [];
  for (let at = HEADER_BYTES; at < body.length; at += NAME_DIGEST_BYTES) {
    names.push(body.toString("latin1", at, at + NAME_DIGEST_BYTES));
  }
  return {
    rpc,
    subject: expected.subject,
    epoch: body.toString("hex", 11, 27),
    told: body[2] === 0 ? "nothing" : (body.readBigUInt64BE(3) as Revision),
    commitId: body.subarray(27, 43),
    names,
  };
}

/** One of two ways to say how much was told: a revision, or nothing with no revision. */
function isTold(body: Buffer): boolean {
  return body[2] === 1 || (body[2] === 0 && body.readBigUInt64BE(3) === 0n);
}

function digest(data: string | Uint8Array, bytes: number): Buffer {
  return createHash("sha256").update(data).digest().subarray(0, bytes);
}

function bad(rule: string): SlotsError {
  return new SlotsError("BAD_RESUME_TOKEN", `resume_token: ${rule}`, {
    metadata: { field: "resume_token" },
    violations: [{ field: "resume_token", rule }],
  });
}
