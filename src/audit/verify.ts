import type { AuditAnchor } from "./audit-log.ts";
import { ChainVerifier } from "./chain-verifier.ts";
import { type Finding, type FindingKind, isTampering } from "./finding.ts";
import { note, type Pruned } from "./retention.ts";
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
  const said = new Map<string, Pruned>();
  const beginnings: Beginning[] = [];
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
    const reader = new ChainReader({ chain, segments, key, anchors, findings, said, signal: options.signal });
    chains.push(await reader.read());
    if (reader.beginning !== undefined) beginnings.push(reader.beginning);
  }
  // Any chain may say what was pruned of any other, so that it is known only now.
  for (const { name, seq } of beginnings) {
    const { chain, file, segment } = name;
    const before = { chain, file, line: 1, seq };
    if ((said.get(chain)?.segment ?? 0) >= segment - 1) {
      const message = `${segmentsTo(1, segment - 1)} removed by the server, because they were older than the log is kept`;
      findings.add({ ...before, kind: "pruned", message });
      continue;
    }
    const message = `${segmentsTo(1, segment - 1)} missing before this file`;
    findings.add({ ...before, kind: "segment-missing", message, seq: undefined });
    findings.add({
      ...before,
      kind: "missing",
      message: `records 1 to ${seq - 1} are missing before this line`,
      seq: 1,
    });
  }
  const anchored = options.anchors.filter(({ records }) => records > 0n).map(({ chain }) => chain);
  for (const chain of new Set(anchored)) {
    if (files.has(chain) || said.get(chain)?.all) continue;
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

function segmentsTo(from: number, to: number): string {
  return from === to ? `segment ${from} is` : `segments ${from} to ${to} are`;
}

/** A chain's first file, which is not its first segment, and proves all that comes before it to be whole. */
interface Beginning {
  readonly name: SegmentName;
  readonly seq: number;
}

interface ChainReaderOptions {
  readonly chain: string;
  readonly segments: readonly SegmentName[];
  readonly key: Uint8Array;
  readonly anchors: readonly AuditAnchor[];
  readonly findings: Findings;
  /** Takes what the chain says of pruning. */
  readonly said: Map<string, Pruned>;
  readonly signal: AbortSignal | undefined;
}

/** Reads the segments of one chain in order. */
class ChainReader {
  readonly #options: ChainReaderOptions;
  readonly #verifier: ChainVerifier;
  #closed = false;
  beginning: Beginning | undefined;

  constructor(options: ChainReaderOptions) {
    this.#options = options;
    const { chain, key, anchors, findings, said } = options;
    this.#verifier = new ChainVerifier(
      chain,
      key,
      anchors,
      (finding) => findings.add(finding),
      (about, pruned) => note(said, about, pruned),
    );
  }

  async read(): Promise<ChainReport> {
    const { chain, segments } = this.#options;
    let expected = 1;
    let cursor: SegmentCursor | undefined;
    for (const [index, name] of segments.entries()) {
      if (name.segment > expected && !(index === 0 && (await this.#beginsWith(name))))
        this.#gap(name, expected);
      if (name.segment < expected) {
        this.#found("segment-misplaced", name, 1, "there are two files of this number in the chain");
      }
      expected = name.segment + 1;
      cursor = await this.#segment(name, index === segments.length - 1);
    }
    this.#verifier.end();
    this.#end(segments.at(-1)!, cursor!);
    const { records } = this.#verifier;
    return { chain, segments: segments.length, records, closed: this.#closed };
  }

  async #beginsWith(name: SegmentName): Promise<boolean> {
    for await (const [first] of new SegmentCursor(name.path).read()) {
      if (first === undefined || !this.#verifier.resumeAt(first)) break;
      this.beginning = { name, seq: this.#verifier.last + 1 };
      return true;
    }
    return false;
  }

  async #segment(name: SegmentName, last: boolean): Promise<SegmentCursor> {
    const cursor = new SegmentCursor(name.path);
    for await (const lines of cursor.read()) {
      this.#options.signal?.throwIfAborted();
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
    const which = segmentsTo(expected, name.segment - 1);
    this.#found("segment-missing", name, 1, `${which} missing before this file`);
  }

  #end(name: SegmentName, cursor: SegmentCursor): void {
    const newest = this.#options.anchors.reduce((most, { records }) => (records > most ? records : most), 0n);
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
    if (this.#options.anchors.length === 0) {
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
    this.#options.findings.add({ kind, chain: this.#options.chain, file, line, seq, message });
  }
}

const END = Buffer.from('"kind":"end"');
