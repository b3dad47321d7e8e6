import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Random } from "./random.ts";

/** What a disk writes at once: a write that is cut may leave any of its sectors, and no part of one. */
const SECTOR = 512;

/** One call that changed a folder's files, as it was recorded. Paths are absolute. */
export type DiskCall =
  | { readonly kind: "create" | "unlink" | "mkdir"; readonly path: string }
  /** A sync makes safe, once it is done, what was there when it began. */
  | { readonly kind: "sync-begins" | "sync"; readonly path: string; readonly thread: string }
  | { readonly kind: "write"; readonly path: string; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: "append"; readonly path: string; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly path: string; readonly size: number }
  | { readonly kind: "rename" | "link"; readonly path: string; readonly to: string };

type Pending = { readonly at: number; readonly bytes: Buffer } | { readonly size: number };

/** A file's content: what is safe, and what was changed since and may be lost. */
class File {
  safe: Buffer = Buffer.alloc(0);
  /** As a program sees it. */
  seen: Buffer = Buffer.alloc(0);
  pending: Pending[] = [];

  change(change: Pending): void {
    this.pending.push(change);
    this.seen = applied(this.seen, change);
  }

  /** Makes everything up to a change safe, and what is behind it not. */
  sync(last: Pending | undefined): void {
    const end = last === undefined ? 0 : this.pending.indexOf(last) + 1;
    this.safe = this.pending.slice(0, end).reduce(applied, this.safe);
    this.pending = this.pending.slice(end);
  }
}

type NameChange = {
  readonly folder: string;
  /** Names that point to a file now, or to none. */
  readonly entries: readonly (readonly [path: string, file: File | "folder" | undefined])[];
};

/** How much of what was not synced a cut leaves. */
export const FATES = ["none", "all", "start", "sectors", "end", "mixed"] as const;
export type Fate = (typeof FATES)[number];

/**
 * A disk between calls: what a program sees, and what a power cut may leave. A file's content is safe up to its own
 * last sync; a name is safe once its folder was synced. Nothing else is promised, so nothing else is assumed: what
 * was not synced is kept or lost by sectors, in any order.
 */
export class Disk {
  readonly #safe = new Map<string, File | "folder">();
  readonly #seen = new Map<string, File | "folder">();
  #pendingNames: NameChange[] = [];
  /** What each sync that is under way will make safe, by its thread. */
  readonly #syncing = new Map<string, Pending | NameChange | undefined>();

  /** Takes over the files that are there before the recording begins: all safe. */
  adopt(path: string, bytes: Buffer | "folder"): void {
    const file = bytes === "folder" ? bytes : new File();
    if (file instanceof File) file.safe = file.seen = bytes as Buffer;
    this.#safe.set(path, file);
    this.#seen.set(path, file);
  }

  play(call: DiskCall): void {
    switch (call.kind) {
      case "create":
        if (!this.#seen.has(call.path)) this.#name([[call.path, new File()]]);
        return;
      case "mkdir":
        this.#name([[call.path, "folder"]]);
        return;
      case "unlink":
        this.#name([[call.path, undefined]]);
        return;
      case "rename":
        this.#name([
          [call.path, undefined],
          [call.to, this.#seen.get(call.path)],
        ]);
        return;
      case "link":
        this.#name([[call.to, this.#seen.get(call.path)]]);
        return;
      case "write":
        this.#file(call.path)?.change({ at: call.at, bytes: call.bytes });
        return;
      case "append": {
        const file = this.#file(call.path);
        file?.change({ at: file.seen.length, bytes: call.bytes });
        return;
      }
      case "truncate":
        this.#file(call.path)?.change({ size: call.size });
        return;
      case "sync-begins":
        this.#syncing.set(call.thread, this.#lastOf(call.path));
        return;
      case "sync": {
        const last = this.#syncing.has(call.thread)
          ? this.#syncing.get(call.thread)
          : this.#lastOf(call.path);
        this.#syncing.delete(call.thread);
        if (this.#seen.get(call.path) === "folder") this.#syncFolder(call.path, last);
        else this.#file(call.path)?.sync(last as Pending | undefined);
        return;
      }
      default:
        call satisfies never;
    }
  }

  /** How many changes a cut could take now. */
  get atRisk(): number {
    const files = new Set([...this.#seen.values(), ...this.#safe.values()]);
    let count = this.#pendingNames.length;
    for (const file of files) if (file instanceof File) count += file.pending.length;
    return count;
  }

  /** Puts what a cut may leave into a folder, under the names below `from`. */
  cut(fate: Fate, random: Random, from: string, into: string): void {
    rmSync(into, { recursive: true, force: true });
    mkdirSync(into, { recursive: true });
    const names = new Map(this.#safe);
    for (const { entries } of keptNames(this.#pendingNames, fate, random)) {
      for (const [path, file] of entries) {
        if (file === undefined) names.delete(path);
        else names.set(path, file);
      }
    }
    const reachable = new Set([from]);
    for (const [path, file] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      // A folder whose own name was lost took along what is in it.
      if (!reachable.has(dirname(path))) continue;
      const place = join(into, path.slice(from.length));
      if (file === "folder") {
        reachable.add(path);
        mkdirSync(place);
      } else writeFileSync(place, left(file, fate, random), { mode: 0o600 });
    }
  }

  #file(path: string): File | undefined {
    const file = this.#seen.get(path);
    return file instanceof File ? file : undefined;
  }

  #name(entries: NameChange["entries"]): void {
    for (const [path, file] of entries) {
      if (file === undefined) this.#seen.delete(path);
      else this.#seen.set(path, file);
    }
    this.#pendingNames.push({ folder: dirname(entries[0]?.[0] ?? ""), entries });
  }

  #lastOf(path: string): Pending | NameChange | undefined {
    if (this.#seen.get(path) !== "folder") return this.#file(path)?.pending.at(-1);
    return this.#pendingNames.findLast(({ folder }) => folder === path);
  }

  #syncFolder(folder: string, last: Pending | NameChange | undefined): void {
    const end = this.#pendingNames.indexOf(last as NameChange) + 1;
    const synced = (change: NameChange, index: number) => index < end && change.folder === folder;
    for (const { entries } of this.#pendingNames.filter(synced)) {
      for (const [path, file] of entries) {
        if (file === undefined) this.#safe.delete(path);
        else this.#safe.set(path, file);
      }
    }
    this.#pendingNames = this.#pendingNames.filter((change, index) => !synced(change, index));
  }
}

/** Changes of names reach the disk in their order, as with every journal; any number of the last may be lost. */
function keptNames(changes: readonly NameChange[], fate: Fate, random: Random): readonly NameChange[] {
  if (fate === "none") return [];
  if (fate === "all") return changes;
  return changes.slice(0, random.below(changes.length + 1));
}

function left(file: File, fate: Fate, random: Random): Buffer {
  const { pending } = file;
  const chosen = fate === "mixed" ? random.pick(FATES) : fate;
  switch (chosen) {
    case "none":
      return file.safe;
    case "all":
      return file.seen;
    case "start": {
      // In order, the last of them torn.
      const whole = random.below(pending.length + 1);
      const kept = pending.slice(0, whole).reduce(applied, file.safe);
      const next = pending[whole];
      return next === undefined ? kept : sectorsApplied(kept, next, random, 0.5);
    }
    case "end": {
      const lost = random.below(pending.length + 1);
      return pending.slice(lost).reduce(applied, file.safe);
    }
    case "sectors":
    case "mixed": {
      const keeps = random.next();
      return pending.reduce((bytes, change) => sectorsApplied(bytes, change, random, keeps), file.safe);
    }
    default:
      return chosen satisfies never;
  }
}

function applied(bytes: Buffer, change: Pending): Buffer {
  if ("size" in change) {
    if (change.size <= bytes.length) return bytes.subarray(0, change.size);
    return Buffer.concat([bytes, Buffer.alloc(change.size - bytes.length)]);
  }
  const end = change.at + change.bytes.length;
  const result = Buffer.alloc(Math.max(bytes.length, end));
  bytes.copy(result);
  change.bytes.copy(result, change.at);
  return result;
}

/** Each sector of a write, or a truncation as a whole, is kept with that probability. */
function sectorsApplied(bytes: Buffer, change: Pending, random: Random, keeps: number): Buffer {
  if ("size" in change) return random.chance(keeps) ? applied(bytes, change) : bytes;
  const { at, bytes: written } = change;
  let result = bytes;
  for (let start = at; start < at + written.length; ) {
    const end = Math.min((Math.floor(start / SECTOR) + 1) * SECTOR, at + written.length);
    if (random.chance(keeps))
      result = applied(result, { at: start, bytes: written.subarray(start - at, end - at) });
    start = end;
  }
  return result;
}
