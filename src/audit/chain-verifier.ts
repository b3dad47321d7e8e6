import type { AuditAnchor } from "./audit-log.ts";
import { Chain, type ParsedLine, parseLine } from "./chain.ts";
import type { Finding, FindingKind } from "./finding.ts";
import { type Pruned, provenStart, prunedIn } from "./retention.ts";
import type { SegmentLine } from "./segment-cursor.ts";

/** A line that was taken apart, and where it stands. */
interface Placed extends ParsedLine {
  readonly file: string;
  readonly line: number;
}

/** More gaps than these are not told apart from duplicates. */
const MAX_GAPS = 1000;

/**
 * Follows one chain line by line. Holds no more than the macs of the line before, one line whose number
 * doesn't fit, and the gaps so far.
 *
 * A line fits when its number is the next one and its mac is that of the line before's mac and its bytes. One
 * whose number is ahead is held until the next line tells what happened: it was edited, it was moved here, or
 * records before it are gone. In the last case its own bytes can't be checked (the mac before is gone with
 * them); the gap is reported all the same.
 */
export class ChainVerifier {
  readonly #name: string;
  readonly #chain: Chain;
  readonly #report: (finding: Finding) => void;
  /** Told what the chain says of files that were removed. */
  readonly #pruned: (chain: string, pruned: Pruned) => void;
  readonly #anchors: Map<number, AuditAnchor>;
  /** The number of the next line. */
  #expected = 1;
  /** What the mac before may be: as stated, and as it must have been where a line's own mac was edited. */
  #before: readonly string[] = [""];
  /** The same for the line before that, when it was found to be edited: it may have been put in. */
  #beforeEdited: readonly string[] = [];
  #held: Placed | undefined;
  /** Lines that were no records since the last one that fitted. */
  #unreadable = 0;
  readonly #gaps: { from: number; to: number }[] = [];
  #records = 0;

  constructor(
    name: string,
    key: Uint8Array,
    anchors: readonly AuditAnchor[],
    report: (finding: Finding) => void,
    pruned: (chain: string, pruned: Pruned) => void,
  ) {
    this.#name = name;
    this.#chain = new Chain(key);
    this.#anchors = new Map(anchors.map((anchor) => [Number(anchor.records), anchor]));
    this.#report = report;
    this.#pruned = pruned;
  }

  /** The last number that was seen in its place. */
  get last(): number {
    return this.#expected - 1;
  }

  /** Lines that fitted. */
  get records(): number {
    return this.#records;
  }

  /**
   * Begins with a line that is not the chain's first, if that line itself proves what came before it. True when so;
   * then all before it is taken as pruned, which is for the caller to judge.
   */
  resumeAt({ bytes }: SegmentLine): boolean {
    const parsed = parseLine(bytes);
    const previous = parsed && provenStart(this.#chain, parsed);
    if (parsed === undefined || previous === undefined) return false;
    this.#expected = parsed.seq;
    this.#before = [previous];
    return true;
  }

  line(file: string, { bytes, number }: SegmentLine): void {
    const parsed = parseLine(bytes);
    if (parsed === undefined) {
      this.#found("unreadable", { file, line: number, seq: undefined }, "this line is no record of the log");
      this.#unreadable += 1;
      return;
    }
    const placed: Placed = { ...parsed, file, line: number };
    const done = this.#held !== undefined && this.#settle(this.#held, placed);
    if (!done) this.#take(placed);
  }

  /** There are no more lines. */
  end(): void {
    if (this.#held !== undefined) this.#jump(this.#held);
  }

  #take(placed: Placed): void {
    if (placed.seq === this.#expected) this.#accept(placed);
    else if (placed.seq > this.#expected) this.#held = placed;
    else this.#outOfPlace(placed);
  }

  #accept(placed: Placed): void {
    const computed = this.#before.map((before) => this.#chain.mac(before, placed.signed));
    if (computed.length > 0 && !computed.includes(placed.mac)) {
      // Where the record before was replaced together with its mac, the mac that this one was made with is lost.
      const or = this.#beforeEdited.length > 0 ? ", or the one before it was replaced" : "";
      this.#found("edited", placed, `record ${placed.seq} is not as it was written${or}`);
      this.#beforeEdited = this.#before;
      this.#before = [placed.mac, ...computed];
    } else {
      this.#beforeEdited = [];
      this.#before = [placed.mac];
      this.#records += 1;
      const pruned = prunedIn(placed.signed);
      if (pruned !== undefined) this.#pruned(pruned.chain, pruned);
    }
    this.#expected = placed.seq + 1;
    this.#unreadable = 0;
    this.#compareAnchor(placed);
  }

  /** Decides about a line that was held, by the one after it. True when that one is done with too. */
  #settle(held: Placed, next: Placed): boolean {
    const follows = (before: string) => this.#chain.mac(before, next.signed) === next.mac;
    if (next.seq === held.seq + 1 && follows(held.mac)) {
      this.#jump(held);
      return false;
    }
    if (next.seq === this.#expected && this.#before.some(follows)) {
      // The held line is too early: what should stand here comes after it.
      this.#held = undefined;
      this.#accept(next);
      if (held.seq === this.#expected && fits(this.#chain, this.#before, held)) {
        this.#found("moved", held, `record ${held.seq} stands before record ${next.seq}`);
        this.#accept(held);
      } else {
        this.#found("moved", held, `record ${held.seq} does not belong here`);
      }
      return true;
    }
    if (next.seq === this.#expected + 1) {
      this.#found("edited", held, `record ${this.#expected} is not as it was written: it says ${held.seq}`);
      this.#held = undefined;
      this.#before = [held.mac, ...this.#before.map((before) => this.#chain.mac(before, held.signed))];
      if (!this.#before.some(follows)) this.#before = [];
      this.#expected += 1;
      return false;
    }
    this.#jump(held);
    return false;
  }

  /** Records before this line are gone; goes on from it. */
  #jump(held: Placed): void {
    this.#held = undefined;
    const [from, to] = [this.#expected, held.seq - 1];
    // Lines that can't be read were reported already, and stand for as many records.
    if (to - from + 1 > this.#unreadable) {
      const which = from === to ? `record ${from} is` : `records ${from} to ${to} are`;
      this.#found("missing", { ...held, seq: from }, `${which} missing before this line`);
    }
    if (this.#gaps.length < MAX_GAPS) this.#gaps.push({ from, to });
    this.#expected = held.seq;
    this.#before = [];
    this.#accept(held);
  }

  #outOfPlace(placed: Placed): void {
    const { seq } = placed;
    if (seq === this.last && fits(this.#chain, this.#beforeEdited, placed)) {
      // The true record: the one before it, reported as edited, was put in.
      this.#before = this.#beforeEdited;
      this.#accept(placed);
    } else if (this.#gaps.some(({ from, to }) => seq >= from && seq <= to)) {
      this.#found("moved", placed, `record ${seq} stands after record ${this.last}`);
    } else {
      this.#found("duplicate", placed, `record ${seq} is here again`);
    }
  }

  #compareAnchor(placed: Placed): void {
    const anchor = this.#anchors.get(placed.seq);
    if (anchor === undefined || Buffer.from(anchor.head).toString("base64url") === placed.mac) return;
    this.#found(
      "anchor-mismatch",
      placed,
      `record ${placed.seq} is not the one that the store has an anchor of`,
    );
  }

  #found(
    kind: FindingKind,
    at: { readonly file: string; readonly line: number; readonly seq: number | undefined },
    message: string,
  ): void {
    this.#report({ kind, chain: this.#name, file: at.file, line: at.line, seq: at.seq, message });
  }
}

function fits(chain: Chain, befores: readonly string[], placed: Placed): boolean {
  return befores.some((before) => chain.mac(before, placed.signed) === placed.mac);
}
