import type { Random } from "./random.ts";

/** What a disk writes at once: a write that is cut may leave any of its sectors, and no part of one. */
const SECTOR = 512;

/** How much of what was not synced a cut leaves. */
export const FATES = ["none", "all", "start", "sectors", "end", "mixed"] as const;
export type Fate = (typeof FATES)[number];

/** A change of a file's content: bytes at a place, or its size. */
export type ContentChange = { readonly at: number; readonly bytes: Buffer } | { readonly size: number };

/** A file's content: what is safe, and what was changed since and may be lost. */
export class DiskFile {
  #safe: Buffer;
  #seen: Buffer;
  #pending: ContentChange[] = [];

  /** What it is made with is safe. */
  constructor(safe: Buffer = Buffer.alloc(0)) {
    this.#safe = safe;
    this.#seen = safe;
  }

  /** As a program sees it. */
  get seen(): Buffer {
    return this.#seen;
  }

  get pending(): readonly ContentChange[] {
    return this.#pending;
  }

  change(change: ContentChange): void {
    this.#pending.push(change);
    this.#seen = applied(this.#seen, change);
  }

  /** Makes everything up to a change safe, and what is behind it not. */
  sync(last: ContentChange | undefined): void {
    const end = last === undefined ? 0 : this.#pending.indexOf(last) + 1;
    this.#safe = this.#pending.slice(0, end).reduce(applied, this.#safe);
    this.#pending = this.#pending.slice(end);
  }

  /** What a power cut may leave of it. */
  left(fate: Fate, random: Random): Buffer {
    const pending = this.#pending;
    const chosen = fate === "mixed" ? random.pick(FATES) : fate;
    switch (chosen) {
      case "none":
        return this.#safe;
      case "all":
        return this.#seen;
      case "start": {
        // In order, the last of them torn.
        const whole = random.below(pending.length + 1);
        const kept = pending.slice(0, whole).reduce(applied, this.#safe);
        const next = pending[whole];
        return next === undefined ? kept : sectorsApplied(kept, next, random, 0.5);
      }
      case "end": {
        const lost = random.below(pending.length + 1);
        return pending.slice(lost).reduce(applied, this.#safe);
      }
      case "sectors":
      case "mixed": {
        const keeps = random.next();
        return pending.reduce((bytes, change) => sectorsApplied(bytes, change, random, keeps), this.#safe);
      }
      default:
        return chosen satisfies never;
    }
  }
}

function applied(bytes: Buffer, change: ContentChange): Buffer {
  if ("size" in change) {
    if (change.size <= bytes.length) return bytes.subarray(0, change.size);
    return Buffer.concat([bytes, Buffer.alloc(change.size - bytes.length)]);
  }
  return withParts(bytes, [change]);
}

/** Each sector of a write, or a truncation as a whole, is kept with that probability. */
function sectorsApplied(bytes: Buffer, change: ContentChange, random: Random, keeps: number): Buffer {
  if ("size" in change) return random.chance(keeps) ? applied(bytes, change) : bytes;
  const { at, bytes: written } = change;
  const kept: Part[] = [];
  for (let start = at; start < at + written.length; ) {
    const end = Math.min((Math.floor(start / SECTOR) + 1) * SECTOR, at + written.length);
    if (random.chance(keeps)) kept.push({ at: start, bytes: written.subarray(start - at, end - at) });
    start = end;
  }
  return withParts(bytes, kept);
}

type Part = { readonly at: number; readonly bytes: Buffer };

/** A copy with those parts written over it, of which the last one reaches furthest. */
function withParts(bytes: Buffer, parts: readonly Part[]): Buffer {
  const last = parts.at(-1);
  if (last === undefined) return bytes;
  const result = Buffer.alloc(Math.max(bytes.length, last.at + last.bytes.length));
  bytes.copy(result);
  for (const part of parts) part.bytes.copy(result, part.at);
  return result;
}
