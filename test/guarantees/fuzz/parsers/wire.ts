import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { etagOf, revisionOfEtag } from "../../../../src/core/etag.ts";
import { decodePageToken, encodePageToken, slotAfter } from "../../../../src/core/page-token.ts";
import { decodeResumeToken, encodeResumeToken, nameDigest } from "../../../../src/core/resume-token.ts";
import { generateToken, parseToken } from "../../../../src/crypto/tokens.ts";
import { SlotsError } from "../../../../src/domain/errors.ts";
import { parseComment, parseLabels, parseRequestId } from "../../../../src/domain/metadata.ts";
import { parseSecretName } from "../../../../src/domain/names.ts";
import { parseListenAddress } from "../../../../src/server/connections/listen-address.ts";
import { addressGroup, peerAddress } from "../../../../src/server/limits.ts";
import { derElements } from "../../../../src/server/tls/der.ts";
import { must, mustEqual, orRefused } from "./expect.ts";
import type { ParserTarget } from "./guided.ts";

const invalid = (error: Error) => error instanceof SlotsError && error.code === "INVALID_ARGUMENT";

const EPOCH = "0123456789abcdef".repeat(2);
const BOUND = { rpc: "WatchSlots", subject: "all-enabled" } as const;
const TOKEN = encodeResumeToken({
  ...BOUND,
  epoch: EPOCH,
  told: 42n as never,
  commitId: new Uint8Array(16).fill(3),
  names: ["a", "b"].map(nameDigest),
});
/** Its body, without its checksum; and the same that says "nothing" of a revision, once and as a third thing. */
const BODY = Buffer.from(TOKEN, "base64url").subarray(0, -4);
const ODD_BODIES = [0, 2].map((told) =>
  Buffer.concat([BODY.subarray(0, 2), Buffer.of(told), BODY.subarray(3)]),
);
const BINDING = ["ListSlots", "app/db"];

/** Written anew from the rule, without a regular expression. */
function isName(text: string): boolean {
  const allowed = new Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  if (text.length < 1 || text.length > 255) return false;
  return text
    .split("/")
    .every(
      (part) => part !== "" && part !== "." && part !== ".." && [...part].every((each) => allowed.has(each)),
    );
}

/** Parsers of what callers send. */
export const WIRE: readonly ParserTarget[] = [
  {
    name: "name",
    modules: ["src/domain/names.ts"],
    seeds: ["app/db", "a/../b", "..a/b.", "a".repeat(255)],
    check: (input) => {
      const text = input.toString();
      const name = orRefused(() => parseSecretName(text), invalid);
      mustEqual(name, isName(text) ? text : undefined, "a name is taken as it is, or refused");
    },
  },
  {
    name: "token",
    modules: ["src/crypto/tokens.ts", "src/crypto/base62.ts"],
    seeds: [generateToken(), `sst_${"0".repeat(49)}`],
    check: (input) => {
      const text = input.toString();
      const token = parseToken(text);
      must(
        token === undefined || (token === text && text.length === 53),
        "a token is taken as it is, or refused",
      );
    },
  },
  {
    name: "resume token",
    modules: ["src/core/resume-token.ts"],
    seeds: [TOKEN, BODY, ...ODD_BODIES],
    check: (input) => {
      // As it came, and as somebody makes it who knows how the checksum is made.
      const sum = createHash("sha256").update(input).digest().subarray(0, 4);
      for (const text of [input.toString(), Buffer.concat([input, sum]).toString("base64url")]) {
        const point = orRefused(() => decodeResumeToken(text, BOUND), invalid);
        if (point === undefined) continue;
        mustEqual(encodeResumeToken(point), text, "a token that is taken is the only one that says this");
      }
    },
  },
  {
    name: "page token",
    modules: ["src/core/page-token.ts"],
    seeds: [encodePageToken(BINDING, "7"), "7", `${2n ** 63n}`, "app/db"],
    check: (input) => {
      for (const text of [input.toString(), encodePageToken(BINDING, input.toString().slice(0, 700))]) {
        const after = orRefused(() => decodePageToken(text, BINDING), invalid);
        if (after === undefined) continue;
        mustEqual(
          encodePageToken(BINDING, after),
          text,
          "a token that is taken is the only one that says this",
        );
        const slot = orRefused(() => slotAfter(after), invalid);
        must(slot === undefined || `${slot}` === after, "a slot to go on after is written one way");
        must(
          slot === undefined || (slot >= 0n && slot < 2n ** 63n),
          "a slot to go on after is a slot's number",
        );
      }
    },
  },
  {
    name: "etag",
    modules: ["src/core/etag.ts"],
    seeds: [etagOf(EPOCH, 7n as never), etagOf(EPOCH, (2n ** 63n - 1n) as never), ""],
    check: (input) => {
      const text = input.toString();
      const revision = revisionOfEtag(text, EPOCH);
      if (revision === undefined) mustEqual(text, "", "only no etag at all stands for no condition");
      else if (revision >= 0n) mustEqual(etagOf(EPOCH, revision), text, "an etag is written one way");
    },
  },
  {
    name: "metadata",
    modules: ["src/domain/metadata.ts"],
    seeds: ["team=a\nowner=b", "x"],
    check: (input) => {
      const text = input.toString();
      const comment = orRefused(() => parseComment(text), invalid);
      must(comment === undefined || Buffer.byteLength(comment) <= 1024, "a comment is at most 1,024 bytes");
      orRefused(() => parseRequestId(text), invalid);
      const pairs = text.split("\n").map((line) => line.split("=", 2) as [string, string?]);
      const given = Object.fromEntries(pairs.map(([key, value = ""]) => [key, value]));
      const labels = orRefused(() => parseLabels(given), invalid);
      if (labels !== undefined)
        mustEqual(parseLabels(labels), labels, "labels that were taken are taken again");
    },
  },
  {
    name: "address",
    modules: ["src/server/limits.ts", "src/server/connections/listen-address.ts"],
    seeds: ["127.0.0.1:443", "[::1]:443", "unix:/run/x", "2001:db8::1", "::ffff:10.0.0.1", "fe80::1%eth0:1"],
    check: (input) => {
      const text = input.toString();
      const address = parseListenAddress(text);
      must(address?.kind !== "tcp" || (address.port >= 0 && address.port <= 65_535), "a port is a port");
      const peer = peerAddress(text);
      if (isIP(peer) === 0) return;
      const group = addressGroup(peer);
      must(!group.includes("NaN"), "an address is counted under a prefix that is one");
      must(isIP(group.replace(/\/64$/, "")) !== 0, "a group is an address or a prefix of addresses");
    },
  },
  {
    name: "DER",
    modules: ["src/server/tls/der.ts"],
    seeds: [
      Buffer.from("3006020105040161", "hex"),
      Buffer.from("308180", "hex"),
      Buffer.from("a003020102", "hex"),
    ],
    check: (input) => {
      const elements = orRefused(
        () => [...derElements(input)],
        ({ message }) => message.startsWith("DER: "),
      );
      const content = (elements ?? []).reduce((sum, each) => sum + each.content.length, 0);
      must(content + 2 * (elements?.length ?? 0) <= input.length, "elements lie within their bytes");
    },
  },
];
