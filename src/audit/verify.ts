import type { AuditAnchor } from "./audit-log.ts";
import { ChainVerifier } from "./chain-verifier.ts";
import { type Finding, type FindingKind, isTampering } from "./finding.ts";
import { SegmentCursor, type SegmentLine } from "./segment-cursor.ts";
import { listSegments, type SegmentName } from "./segment-name.ts";

export interface VerifyOptions {
  /** The log's folder, or a copy of it. */
  readonly directory: string;
  /** The key of a chain (see `chainKey`), or undefined when there is none. */
  readonly keyOfChain: (chain: string) => Uint8Array | undefined;
  /** From the store. Taken before the log is read, so that a log that goes on meanwhile is not found short. */
  readonly anchors: readonly AuditAnchor[];
  readonly signal?: AbortSignal;
}

export interface ChainReport {
  readonly chain: string;
  readonly segments: number;
  /** Records that were found in their place and as they were written, the log's own lines included. */
  readonly records: number;
  /** Whether the chain was closed in order. False for one that is being written, or that a crash ended. */
  readonly closed: boolean;
}

export interface VerifyReport {
  /** Nothing was changed, dropped, added, moved or cut off (notices may be there). */
  readonly ok: boolean;
  readonly chains: readonly ChainReport[];
  /** The first 1,000 in the order in which they were found. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
}

const MAX_FINDINGS = 1000;

/**
 * S4: finds every record that was edited, dropped, moved, repeated or put in, every segment that is gone, and a
 * cut at the end of a chain up to its last anchor. Reads as a stream: memory does not grow with the log.
 * Throws only when a file can't be read.
 */
export async function verifyAudit(options: VerifyOptions): Promise<VerifyReport> {
  const findings = new Findings();
  const chains: ChainReport[] = [];
  const files = await listSegments(options.directory);
  for (const [chain, segments] of files) {
    const anchors = options.anchors.filter((anchor) => anchor.chain === chain);
    const key = options.keyOfChain(chain);
    if (key === undefined) {
      const file = segments[0]!.file;
      findings.add({
        ...{ kind: "key-missing", chain, file, line: undefined, seq: undefined },
        message: "there is no key for this chain: nothing of it can be checked",
      });
      continue;
    }
    chains.push(await new ChainReader(chain, segments, key, anchors, findings, options.signal).read());
  }
  for (const chain of new Set(options.anchors.map((anchor) => anchor.chain))) {
    if (files.has(chain)) continue;
    findings.add({
      ...{ kind: "chain-missing", chain, file: undefined, line: undefined, seq: 1 },
      message: `the store has an anchor of chain ${chain}, but the log has no file of it`,
    });
  }
  return { ok: !findings.tampering, chains, findings: findings.kept, findingCount: findings.count };
}

class Findings {
  readonly kept: Finding[] = [];
  count = 0;
  tampering = false;

  add(finding: Finding): void {
    this.count += 1;
    this.tampering ||= isTampering(finding);
    if (this.kept.length < MAX_FINDINGS) this.kept.push(finding);
  }
}

/** Reads the segments of one chain in order. */
class ChainReader {
  readonly #chain: string;
  readonly #segments: readonly SegmentName[];
  readonly #anchors: readonly AuditAnchor[];
  readonly #findings: Findings;
  readonly #signal: AbortSignal | undefined;
  readonly #verifier: ChainVerifier;
  #closed = false;

  constructor(
    chain: string,
    segments: readonly SegmentName[],
    key: Uint8Array,
    anchors: readonly AuditAnchor[],
    findings: Findings,
    signal: AbortSignal | undefined,
  ) {
    this.#chain = chain;
    this.#segments = segments;
    this.#anchors = anchors;
    this.#findings = findings;
    this.#signal = signal;
    this.#verifier = new ChainVerifier(chain, key, anchors, (finding) => findings.add(finding));
  }

  async read(): Promise<ChainReport> {
    let expected = 1;
    let cursor: SegmentCursor | undefined;
    for (const [index, name] of this.#segments.entries()) {
      if (name.segment > expected) this.#gap(name, expected);
      if (name.segment < expected) {
        this.#found("segment-misplaced", name, 1, "there are two files of this number in the chain");
      }
      expected = name.segment + 1;
      cursor = await this.#segment(name, index === this.#segments.length - 1);
    }
    this.#verifier.end();
    this.#end(this.#segments.at(-1)!, cursor!);
    const { records } = this.#verifier;
    return { chain: this.#chain, segments: this.#segments.length, records, closed: this.#closed };
  }

  async #segment(name: SegmentName, last: boolean): Promise<SegmentCursor> {
    const cursor = new SegmentCursor(name.path);
    for await (const lines of cursor.read()) {
      this.#signal?.throwIfAborted();
      for (const line of lines) {
        if (line.number === 1) this.#header(name, line);
        this.#closed = line.bytes.includes(END);
        this.#verifier.line(name.file, line);
      }
    }
    const at = cursor.lines + 1;
    const stray = await cursor.strayByte();
    const strayText = `something stands behind the end of this segment, at byte ${stray}`;
    if (last && !this.#closed) {
      // A power cut takes any of the sectors that were not flushed yet, so that some behind a gap may be left. Whoever
      // makes such a gap gains no more than by a cut of the end, which is found up to the last anchor all the same.
      if (stray !== undefined) this.#found("torn", name, at, `${strayText}: the power was cut`);
      else if (cursor.tail > 0)
        this.#found("torn", name, at, "the last line has no end: the server stopped while it wrote it");
      return cursor;
    }
    if (cursor.tail > 0)
      this.#found("stray-bytes", name, at, "something that is no line stands at the end of this segment");
    if (stray !== undefined) this.#found("stray-bytes", name, at, strayText);
    return cursor;
  }

  /** The mac vouches for what a header says; that the file's name agrees with it is for us to see. */
  #header(name: SegmentName, line: SegmentLine): void {
    try {
      const fields = JSON.parse(line.bytes.toString("utf8"));
      if (fields.kind !== "segment") return;
      if (fields.chain === name.chain && fields.segment === name.segment) return;
      const is = `segment ${fields.segment} of chain ${fields.chain}`;
      this.#found("segment-misplaced", name, 1, `by its first line this file is ${is}`);
    } catch {
      // Reported as unreadable.
    }
  }

  #gap(name: SegmentName, expected: number): void {
    const to = name.segment - 1;
    const which = expected === to ? `segment ${expected} is` : `segments ${expected} to ${to} are`;
    this.#found("segment-missing", name, 1, `${which} missing before this file`);
  }

  #end(name: SegmentName, cursor: SegmentCursor): void {
    const newest = this.#anchors.reduce((most, { records }) => (records > most ? records : most), 0n);
    const { last } = this.#verifier;
    if (newest > BigInt(last)) {
      this.#found(
        "truncated",
        name,
        cursor.lines + 1,
        `the log ends after record ${last}, but the store has an anchor of record ${newest}`,
        last + 1,
      );
    }
    if (this.#anchors.length === 0) {
      this.#found("not-anchored", name, undefined, "the store has no anchor of this chain");
    }
  }

  #found(
    kind: FindingKind,
    { file }: SegmentName,
    line: number | undefined,
    message: string,
    seq?: number,
  ): void {
    this.#findings.add({ kind, chain: this.#chain, file, line, seq, message });
  }
}

const END = Buffer.from('"kind":"end"');
