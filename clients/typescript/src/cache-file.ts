import { randomBytes } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type CacheContent, decodeCache, encodeCache } from "./cache-format.ts";
import type { CacheOptions } from "./open.ts";
import type { Warn } from "./options.ts";
import type { ReplicaSnapshot } from "./replica.ts";
import type { ViewName } from "./watch-loop.ts";

const PROGRESS_INTERVAL_MS = 60_000;

/** What the cache holds for these names; undefined when there is no usable one. */
export async function readCache(
  { path, key }: CacheOptions,
  names: readonly string[],
  view: ViewName,
  warn: Warn,
): Promise<ReplicaSnapshot | undefined> {
  let content: CacheContent;
  try {
    content = decodeCache(await readFile(path), key);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      warn(`CACHE_UNREADABLE: ${path} is damaged or of another key; it is not used`);
    }
    return undefined;
  }
  if (content.view !== view) return undefined;
  const states = new Map([...content.states].filter(([name]) => names.includes(name)));
  // The token stands for exactly the names it was given for.
  const same = content.states.size === names.length && states.size === names.length;
  return { ...content, states, resumeToken: same ? content.resumeToken : "" };
}

/** Keeps the file up to date: one write at a time, the newest state wins. */
export class CacheWriter {
  readonly #options: CacheOptions;
  readonly #view: ViewName;
  readonly #snapshot: () => ReplicaSnapshot;
  readonly #warn: Warn;
  #dirty = false;
  #unsavedProgress = false;
  #savedAt = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;

  constructor(options: CacheOptions, view: ViewName, snapshot: () => ReplicaSnapshot, warn: Warn) {
    this.#options = options;
    this.#view = view;
    this.#snapshot = snapshot;
    this.#warn = warn;
  }

  changed(): void {
    this.#dirty = true;
    this.#writing ??= this.#write();
  }

  progressed(): void {
    this.#unsavedProgress = true;
    if (performance.now() - this.#savedAt >= PROGRESS_INTERVAL_MS) this.changed();
  }

  /** Resolves when what changed so far is on disk, or could not be written. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async close(): Promise<void> {
    if (this.#unsavedProgress) this.changed();
    await this.flush();
  }

  async #write(): Promise<void> {
    while (this.#dirty) {
      this.#dirty = false;
      this.#unsavedProgress = false;
      this.#savedAt = performance.now();
      try {
        const content = { ...this.#snapshot(), view: this.#view };
        await replaceFile(this.#options.path, encodeCache(content, this.#options.key));
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? "unknown";
        this.#warn(`the cache ${this.#options.path} was not written: ${code}`);
      }
    }
    this.#writing = undefined;
  }
}

/** Whoever reads the path finds the old file or the new one, whole, also after a power cut. */
async function replaceFile(path: string, content: Buffer): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const directory = await open(folder, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
