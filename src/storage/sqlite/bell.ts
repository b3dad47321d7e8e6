import { closeSync, type FSWatcher, openSync, watch } from "node:fs";
import type { Head } from "../records.ts";

const POLL_MS = 250;

/** Makes the bell file if it is not there yet. Writers touch it after each commit. */
export function hangBell(file: string): void {
  closeSync(openSync(file, "a", 0o600));
}

/**
 * Rings after the commits of any process: at once for those of this one, by the bell file for those of others,
 * and by a look at the head four times a second in case a touch is missed. It only wakes, it carries nothing (W6).
 */
export class Bell {
  readonly #rings = new Set<() => void>();
  readonly #head: () => Head;
  readonly #watcher: FSWatcher | undefined;
  readonly #poll: NodeJS.Timeout;
  #last: Head;

  constructor(file: string, head: () => Head) {
    this.#head = head;
    this.#last = head();
    this.#watcher = watchFile(file, () => this.look());
    this.#poll = setInterval(() => this.look(), POLL_MS).unref();
  }

  onCommit(ring: () => void): () => void {
    // A wrapper of its own for each caller, so that one function given twice is stopped one at a time.
    const entry = () => ring();
    this.#rings.add(entry);
    return () => void this.#rings.delete(entry);
  }

  /** Rings if the store has moved since the last ring. */
  look(): void {
    let head: Head;
    try {
      head = this.#head();
    } catch {
      // The next reader meets the same error and says so.
      return;
    }
    if (head.revision === this.#last.revision && head.epoch === this.#last.epoch) return;
    this.#last = head;
    for (const ring of this.#rings) ring();
  }

  close(): void {
    clearInterval(this.#poll);
    this.#watcher?.close();
    this.#rings.clear();
  }
}

/** Undefined where files can't be watched (out of inotify watches): the poll alone rings then. */
function watchFile(file: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(file, { persistent: false }, onChange);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
