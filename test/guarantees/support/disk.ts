import { dirname } from "node:path";
import { type ContentChange, DiskFile, type Fate } from "./disk-file.ts";
import type { Random } from "./random.ts";

/** One call that changed a folder's files, as it was recorded. Paths are absolute. */
export type DiskCall =
  | { readonly kind: "create" | "unlink" | "mkdir"; readonly path: string }
  /** A sync makes safe, once it is done, what was there when it began. */
  | { readonly kind: "sync-begins" | "sync"; readonly path: string; readonly thread: string }
  | { readonly kind: "write"; readonly path: string; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: "append"; readonly path: string; readonly bytes: Buffer }
  /** From one file's place to the other's end. */
  | {
      readonly kind: "copy";
      readonly path: string;
      readonly at: number;
      readonly size: number;
      readonly to: string;
    }
  | { readonly kind: "truncate"; readonly path: string; readonly size: number }
  | { readonly kind: "rename" | "link"; readonly path: string; readonly to: string };

/** What a name stands for. */
type Named = DiskFile | "folder";

/** What is in a folder, by path: the bytes of a file, or that it is a folder. */
export type Content = ReadonlyMap<string, Buffer | "folder">;

interface NameChange {
  readonly folder: string;
  /** Names that point to a file now, or to none. */
  readonly entries: readonly (readonly [path: string, named: Named | undefined])[];
}

/**
 * A disk between calls: what a program sees, and what a power cut may leave. A file's content is safe up to its own
 * last sync; a name is safe once its folder was synced. Nothing else is promised, so nothing else is assumed: what
 * was not synced is kept or lost, content by sectors, in any order.
 */
export class Disk {
  readonly #safe = new Map<string, Named>();
  readonly #seen = new Map<string, Named>();
  #pendingNames: NameChange[] = [];
  /** What each sync that is under way will make safe, by its thread. */
  readonly #syncing = new Map<string, ContentChange | NameChange | undefined>();

  /** Takes over what is there before the recording begins: all safe. */
  constructor(before: Content) {
    for (const [path, content] of before) {
      const named = content === "folder" ? content : new DiskFile(content);
      this.#safe.set(path, named);
      this.#seen.set(path, named);
    }
  }

  play(call: DiskCall): void {
    switch (call.kind) {
      case "create":
        if (!this.#seen.has(call.path)) this.#name([[call.path, new DiskFile()]]);
        return;
      case "mkdir":
        this.#name([[call.path, "folder"]]);
        return;
      case "unlink":
        this.#name([[call.path, undefined]]);
        return;
      case "rename":
        if (dirname(call.path) !== dirname(call.to))
          throw new Error(`not known here: a rename between folders, ${call.path}`);
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
      case "append":
        this.#append(call.path, call.bytes);
        return;
      case "copy":
        this.#append(
          call.to,
          this.#file(call.path)?.seen.subarray(call.at, call.at + call.size) ?? Buffer.alloc(0),
        );
        return;
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
        else this.#file(call.path)?.sync(last as ContentChange | undefined);
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
    for (const file of files) if (file !== "folder") count += file.pending.length;
    return count;
  }

  /** As a program sees it now. */
  get seen(): Content {
    return new Map(
      [...this.#seen].map(([path, named]) => [path, named === "folder" ? named : named.seen] as const),
    );
  }

  /** What a power cut may leave now below a folder, which itself is safe; folders before what is in them. */
  left(fate: Fate, random: Random, root: string): Content {
    const names = new Map(this.#safe);
    for (const { entries } of keptNames(this.#pendingNames, fate, random)) {
      for (const [path, named] of entries) {
        if (named === undefined) names.delete(path);
        else names.set(path, named);
      }
    }
    const content = new Map<string, Buffer | "folder">([[root, "folder"]]);
    for (const [path, named] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      // A folder whose own name was lost took along what is in it.
      if (content.get(dirname(path)) !== "folder") continue;
      content.set(path, named === "folder" ? named : named.left(fate, random));
    }
    return content;
  }

  #file(path: string): DiskFile | undefined {
    const named = this.#seen.get(path);
    return named === "folder" ? undefined : named;
  }

  #append(path: string, bytes: Buffer): void {
    const file = this.#file(path);
    file?.change({ at: file.seen.length, bytes });
  }

  #name(entries: NameChange["entries"]): void {
    for (const [path, named] of entries) {
      if (named === undefined) this.#seen.delete(path);
      else this.#seen.set(path, named);
    }
    this.#pendingNames.push({ folder: dirname(entries[0]?.[0] ?? ""), entries });
  }

  #lastOf(path: string): ContentChange | NameChange | undefined {
    if (this.#seen.get(path) !== "folder") return this.#file(path)?.pending.at(-1);
    return this.#pendingNames.findLast(({ folder }) => folder === path);
  }

  #syncFolder(folder: string, last: ContentChange | NameChange | undefined): void {
    const end = this.#pendingNames.indexOf(last as NameChange) + 1;
    const synced = (change: NameChange, index: number) => index < end && change.folder === folder;
    for (const { entries } of this.#pendingNames.filter(synced)) {
      for (const [path, named] of entries) {
        if (named === undefined) this.#safe.delete(path);
        else this.#safe.set(path, named);
      }
    }
    this.#pendingNames = this.#pendingNames.filter((change, index) => !synced(change, index));
  }
}

/**
 * POSIX promises no order for changes of names that nobody synced. The journals of ext4 and XFS keep the order in which
 * they were made, so that the last ones are lost; without a journal (ext2), or where a sync of one file takes its own
 * name along and not its neighbours' (btrfs, F2FS), any of them may be there without the others. Both are tried. A
 * rename within a folder is one change: every file system that the store may lie on promises that much.
 */
function keptNames(changes: readonly NameChange[], fate: Fate, random: Random): readonly NameChange[] {
  if (fate === "none") return [];
  if (fate === "all") return changes;
  if (random.chance(0.5)) return changes.slice(0, random.below(changes.length + 1));
  const keeps = random.next();
  return changes.filter(() => random.chance(keeps));
}
