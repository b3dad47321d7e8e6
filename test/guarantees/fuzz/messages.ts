import { create, type DescField, type DescMessage, type DescMethod, toBinary } from "@bufbuild/protobuf";
import { encodePageToken } from "../../../src/core/page-token.ts";
import { encodeResumeToken, nameDigest } from "../../../src/core/resume-token.ts";
import type { Random } from "../support/random.ts";

/** What is true of the store that is attacked, so that inputs get past the first check. */
export interface Known {
  readonly names: readonly string[];
  readonly epoch: string;
  readonly etags: readonly string[];
  readonly tokenIds: readonly string[];
  readonly keyIds: readonly string[];
  readonly resumeTokens: readonly string[];
}

/** Values that tend to be handled wrongly. */
const TEXTS = ["", "a", "a/b", "a//b", "../a", "a".repeat(256), "\u0000", "ä", "*", "**"];
const HUGE = "a".repeat(20_000);
const INTEGERS = [0n, 1n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
/** What a list may go on after, were it forged. */
const AFTERS = [
  "",
  "0",
  "1",
  "-1",
  "x",
  "1e3",
  "0x10",
  " 7",
  `${2n ** 63n}`,
  "9".repeat(200),
  "\u0000",
  "\ud800",
];
/** Keeps a message at some 100 kB, however its lists are nested. */
const MOST_FIELDS = 1500;

/** The fields of a request that is likely to be granted, where that takes more than luck. */
const PLAUSIBLE: Readonly<Record<string, (random: Random) => Record<string, unknown>>> = {
  PutSlot: (random) => ({
    name: `fuzz/${random.below(3)}`,
    ...(random.chance(0.7)
      ? { slot: BigInt(random.below(12)), autoSlot: 0 }
      : { slot: undefined, autoSlot: 1 + random.below(2) }),
    value: random.bytes(random.below(40)),
    crc32c: undefined,
    expectedRevision: random.chance(0.9) ? undefined : BigInt(random.below(50)),
    requestId: random.chance(0.8) ? "" : `request-${random.below(50)}`,
    initialState: random.below(3),
  }),
  UpdateSecret: (random) => ({
    comment: "c".repeat(random.below(20)),
    labels: { team: `${random.below(5)}` },
    updateMask: { paths: random.pick([["comment"], ["labels"], ["comment", "labels"]]) },
    etag: "",
  }),
  CreateToken: (random) => ({
    principal: `fuzz-${random.below(9)}`,
    groups: ["a"],
    comment: "c",
    expireTime: random.chance(0.5) ? undefined : { seconds: 4_000_000_000n, nanos: 0 },
  }),
  CheckAccess: (random) => ({ principal: "token:fuzz-1", groups: [], action: 1 + random.below(6) }),
  WatchSlots: (random) => ({ names: [`fuzz/${random.below(3)}`], view: random.below(3), allowMissing: true }),
  SearchAudit: (random) => ({ startTime: undefined, endTime: undefined, limit: random.below(50) }),
};

/** A message that decodes, with anything in its fields. */
export function anyMessage(method: DescMethod, known: Known, random: Random): Buffer {
  const maker = new Maker(method.name, known, random);
  const message = maker.message(method.input, 0);
  // Chance alone rarely gets a request with many rules past all of them.
  if (random.chance(0.6)) Object.assign(message, PLAUSIBLE[method.name]?.(random));
  if ("name" in message && random.chance(0.5)) message.name = random.pick(known.names);
  if ("pageToken" in message && random.chance(0.5)) message.pageToken = maker.pageToken(message);
  if ("resumeToken" in message && random.chance(0.5)) message.resumeToken = maker.resumeToken(message);
  return Buffer.from(toBinary(method.input, create(method.input, message)));
}

class Maker {
  readonly #rpc: string;
  readonly #known: Known;
  readonly #random: Random;
  #left = MOST_FIELDS;

  constructor(rpc: string, known: Known, random: Random) {
    this.#rpc = rpc;
    this.#known = known;
    this.#random = random;
  }

  message(schema: DescMessage, depth: number): Record<string, unknown> {
    const message: Record<string, unknown> = {};
    for (const field of schema.fields) {
      if (this.#random.chance(0.25)) continue;
      const value = this.#field(field, depth);
      if (value !== undefined && field.oneof === undefined) message[field.localName] = value;
    }
    return message;
  }

  /** One that passes its check, whatever it goes on after. */
  pageToken(message: Readonly<Record<string, unknown>>): string {
    const { prefix = "", name = "" } = message as Record<string, string>;
    const binding = { ListSecrets: ["ListSecrets", prefix], ListSlots: ["ListSlots", name] }[this.#rpc];
    const after = this.#random.pick([...AFTERS, ...this.#known.names, ...this.#known.tokenIds]);
    return encodePageToken(binding ?? [this.#rpc], after);
  }

  /** One whose checksum is right, whatever it says. */
  resumeToken(message: Readonly<Record<string, unknown>>): string {
    const random = this.#random;
    const { name = "", names = [], view = 0 } = message as { name?: string; names?: string[]; view?: number };
    return encodeResumeToken({
      rpc: this.#rpc === "WatchSlots" ? "WatchSlots" : "WatchSecret",
      subject: this.#rpc === "WatchSlots" ? (view === 1 ? "current" : "all-enabled") : name,
      epoch: random.chance(0.8) ? this.#known.epoch : "0".repeat(32),
      told: random.chance(0.2)
        ? "nothing"
        : ((random.chance(0.5) ? BigInt(random.below(200)) : random.pick(INTEGERS)) as never),
      commitId: random.bytes(16),
      names: names.slice(0, 20).map(nameDigest),
    });
  }

  #field(field: DescField, depth: number): unknown {
    const random = this.#random;
    if (field.fieldKind === "map") return { [random.pick(TEXTS)]: random.pick(TEXTS), team: "x" };
    const one = () => {
      this.#left -= 1;
      if (field.message !== undefined) {
        return depth > 3 ? undefined : create(field.message, this.message(field.message, depth + 1));
      }
      if (field.enum !== undefined) return random.below(9) - 1;
      return this.#scalar(field.name, field.scalar as number);
    };
    if (field.fieldKind !== "list") return one();
    const count = random.below(random.chance(0.02) ? 500 : 4);
    const list: unknown[] = [];
    for (let index = 0; index < count && this.#left > 0; index += 1) list.push(one());
    return list.filter((each) => each !== undefined);
  }

  /** By the number that protobuf gives each type of a field. */
  #scalar(name: string, type: number): unknown {
    const random = this.#random;
    switch (type) {
      case 8:
        return random.chance(0.5);
      case 9:
        return random.chance(0.75) ? this.#likely(name) : random.chance(0.01) ? HUGE : random.pick(TEXTS);
      case 12:
        return random.bytes(random.below(random.chance(0.005) ? 70_000 : 40));
      case 3:
      case 16:
      case 18:
        return BigInt.asIntN(64, random.pick(INTEGERS));
      case 4:
      case 6:
        return random.chance(0.6) ? BigInt(random.below(10)) : random.pick(INTEGERS);
      case 5:
      case 15:
      case 17:
        return random.chance(0.7) ? random.below(20) - 1 : random.below(2 ** 32) | 0;
      default:
        return random.chance(0.5) ? random.below(20) : random.below(2 ** 32);
    }
  }

  /** What a caller would put into a field of this name. */
  #likely(field: string): string {
    const random = this.#random;
    const { names, etags, tokenIds, keyIds, resumeTokens, epoch } = this.#known;
    switch (field) {
      case "etag":
        return random.pick([...etags, `"${epoch}.${random.below(500)}"`, "", ""]);
      case "token_id":
        return random.pick(tokenIds);
      case "key_id":
        return random.pick([...keyIds, "mk_00000000000000000000"]);
      case "paths":
        return random.pick(["comment", "labels", "comment", "labels", "value"]);
      case "request_id":
        return random.chance(0.7) ? "" : `request-${random.below(50)}`;
      case "resume_token":
      case "page_token":
        return random.chance(0.5) ? "" : random.pick(resumeTokens);
      case "principal":
      case "principals":
        return `token:fuzz-${random.below(5)}`;
      case "prefix":
        return random.pick(["", "fuzz/", "f"]);
      default:
        return random.pick(names);
    }
  }
}
