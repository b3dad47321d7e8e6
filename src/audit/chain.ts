import { createHmac, createSecretKey, type KeyObject } from "node:crypto";

/** A mac as it stands in a line: base64url of 32 bytes. */
export const MAC_LENGTH = 43;
const MAC_FIELD = ',"mac":"';
const LINE_END = '"}';
/** What a line carries after its body. */
export const MAC_PART_LENGTH = MAC_FIELD.length + MAC_LENGTH + LINE_END.length;

/**
 * The key of one chain: HMAC-SHA256 of its id under the store's key `audit`. It can be handed to an auditor
 * for this chain alone, and a line of one chain means nothing in another.
 */
export function chainKey(storeKey: Uint8Array, chain: string): Uint8Array {
  return createHmac("sha256", createSecretKey(storeKey)).update(`slots-audit-chain-v1\0${chain}`).digest();
}

/** Where a chain stands after a line: that line's number and mac. */
export interface ChainHead {
  readonly seq: number;
  /** Empty before the first line. */
  readonly mac: string;
}

export const CHAIN_START: ChainHead = { seq: 0, mac: "" };

/**
 * A line is `{"seq":5,"time":…,"mac":"…"}`. Its mac is HMAC-SHA256 of the line before's mac, as text, and
 * its own bytes up to `,"mac":`. Who changes, drops, adds or moves a line would have to make a new mac for
 * it and for every line after it, and can't without the key.
 */
export class Chain {
  readonly #key: KeyObject;

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  /** The lines for these bodies, each with its newline, and where the chain stands then. */
  extend(head: ChainHead, bodies: readonly string[]): { readonly text: string; readonly head: ChainHead } {
    let { seq, mac } = head;
    let text = "";
    for (const body of bodies) {
      seq += 1;
      const line = `{"seq":${seq},${body}`;
      mac = createHmac("sha256", this.#key)
        .update(mac + line, "utf8")
        .digest("base64url");
      text += `${line}${MAC_FIELD}${mac}${LINE_END}\n`;
    }
    return { text, head: { seq, mac } };
  }

  /** The mac that a line must have after the given one. */
  mac(before: string, bytes: Uint8Array): string {
    return createHmac("sha256", this.#key).update(before, "latin1").update(bytes).digest("base64url");
  }
}

/** A line taken apart, or undefined when it isn't one. */
export interface ParsedLine {
  readonly seq: number;
  readonly mac: string;
  /** What the mac is over, besides the mac before. */
  readonly signed: Uint8Array;
}

const SEQ = /^\{"seq":([1-9][0-9]{0,15}),/;
const MAC_PART = /^,"mac":"([A-Za-z0-9_-]{43})"\}$/;

export function parseLine(line: Buffer): ParsedLine | undefined {
  const end = line.length - MAC_PART_LENGTH;
  if (end < 0) return undefined;
  const seq = SEQ.exec(line.toString("latin1", 0, 32));
  const mac = MAC_PART.exec(line.toString("latin1", end));
  if (seq === null || mac === null) return undefined;
  return { seq: Number(seq[1]), mac: mac[1]!, signed: line.subarray(0, end) };
}
