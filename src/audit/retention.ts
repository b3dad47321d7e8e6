import type { AuditAnchor } from "./audit-log.ts";
import { Chain, chainKey, type ParsedLine, parseLine } from "./chain.ts";
import { SegmentCursor } from "./segment-cursor.ts";
import { listSegments, type SegmentName } from "./segment-name.ts";

/** What a `pruned` record says of a chain. */
export interface Pruned {
  readonly segment: number;
  readonly all: boolean;
}

/** Segments of one chain that may go. */
export interface Expired extends Pruned {
  readonly chain: string;
  readonly files: readonly SegmentName[];
}

export interface Expiry {
  readonly expired: readonly Expired[];
  /** What the files that go say of chains that still have files: it must be said again before they do. */
  readonly carried: ReadonlyMap<string, Pruned>;
}

export interface FindExpired {
  readonly directory: string;
  readonly storeKey: Uint8Array;
  readonly anchors: readonly AuditAnchor[];
  /** Unix milliseconds: a segment may go when all of its records are older. */
  readonly before: number;
}

/**
 * Finds what may be removed: from the start of each chain, segments all of whose records are older. Never one that
 * does not verify, for that is evidence; nor the last one of a chain that was not closed, for somebody may still write
 * it. Neither the names nor the times of files are believed, only what the chain's key vouches for.
 */
export async function findExpired({ directory, storeKey, anchors, before }: FindExpired): Promise<Expiry> {
  const expired: Expired[] = [];
  const said = new Map<string, Pruned>();
  const files = await listSegments(directory);
  for (const [chain, segments] of files) {
    const key = new Chain(chainKey(storeKey, chain));
    const anchor = anchors.find((each) => each.chain === chain);
    const going: SegmentName[] = [];
    for (const [index, segment] of segments.entries()) {
      const next = segments[index + 1];
      // A cheap look first: what is young by its name is not read.
      if ((next ?? segment).time >= before || (next === undefined && anchor?.closed !== true)) break;
      const content = await readSegment(segment, key).catch((cause: NodeJS.ErrnoException) => {
        // Another process of the server was faster.
        if (cause.code === "ENOENT") return undefined;
        throw cause;
      });
      if (content === undefined || content.latest >= before) break;
      if (next === undefined && !content.isEnd(anchor!)) break;
      going.push(segment);
      for (const [about, pruned] of content.said) note(said, about, pruned);
    }
    const last = going.at(-1);
    if (last === undefined) continue;
    expired.push({ chain, segment: last.segment, all: going.length === segments.length, files: going });
  }
  const carried = [...said].filter(
    ([chain]) => files.has(chain) && !expired.some((each) => each.chain === chain),
  );
  return { expired, carried: new Map(carried) };
}

/** Keeps the largest that is said of a chain. */
export function note(said: Map<string, Pruned>, chain: string, pruned: Pruned): void {
  const known = said.get(chain);
  if (known === undefined || pruned.segment > known.segment) said.set(chain, pruned);
}

const PRUNED = Buffer.from('"kind":"pruned"');

/** What a line that was verified says of pruning; undefined when it is about something else. */
export function prunedIn(line: Uint8Array): (Pruned & { readonly chain: string }) | undefined {
  if (!Buffer.from(line.buffer, line.byteOffset, line.byteLength).includes(PRUNED)) return undefined;
  const { kind, chain, segment, all } = fieldsOf(line);
  if (kind !== "pruned" || typeof chain !== "string" || typeof segment !== "number") return undefined;
  return { chain, segment, all: all === true };
}

/** The mac of the line before a segment's first line, when that line itself proves it; undefined otherwise. */
export function provenStart(chain: Chain, { signed, mac }: ParsedLine): string | undefined {
  const { kind, previous } = fieldsOf(signed);
  if (kind !== "segment" || typeof previous !== "string") return undefined;
  return chain.mac(previous, signed) === mac ? previous : undefined;
}

/** The fields of a line that was taken apart: it lacks its mac and the closing brace. */
function fieldsOf(signed: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(`${Buffer.from(signed).toString("utf8")}}`);
  } catch {
    return {};
  }
}

interface Content {
  readonly latest: number;
  readonly said: ReadonlyMap<string, Pruned>;
  /** Whether it ends with the line that closed the chain. */
  isEnd(anchor: AuditAnchor): boolean;
}

const TIME = /^\{"seq":\d+,"time":"([^"]{24})"/;

/** Undefined for a segment that is not from its first byte to its last what was written. */
async function readSegment(name: SegmentName, chain: Chain): Promise<Content | undefined> {
  const cursor = new SegmentCursor(name.path);
  const said = new Map<string, Pruned>();
  let head: { seq: number; mac: string } | undefined;
  let latest = "";
  for await (const lines of cursor.read()) {
    for (const { bytes } of lines) {
      const line = parseLine(bytes);
      if (line === undefined) return undefined;
      if (head === undefined) {
        const { chain: its, segment } = fieldsOf(line.signed);
        if (provenStart(chain, line) === undefined || its !== name.chain || segment !== name.segment)
          return undefined;
      } else if (line.seq !== head.seq + 1 || chain.mac(head.mac, line.signed) !== line.mac) return undefined;
      head = { seq: line.seq, mac: line.mac };
      const [, time = ""] = TIME.exec(bytes.toString("latin1", 0, 80)) ?? [];
      if (time > latest) latest = time;
      const pruned = prunedIn(line.signed);
      if (pruned !== undefined) note(said, pruned.chain, pruned);
    }
  }
  if (head === undefined || cursor.tail > 0 || (await cursor.strayByte()) !== undefined) return undefined;
  const { mac } = head;
  return {
    latest: Date.parse(latest),
    said,
    isEnd: ({ closed, head: end }) => closed && Buffer.from(end).toString("base64url") === mac,
  };
}
