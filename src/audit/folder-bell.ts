import { type FSWatcher, watch } from "node:fs";
import { setTimeout } from "node:timers/promises";

const POLL_MS = 1000;
/** A busy log rings thousands of times a second; one look at it takes all that came meanwhile. */
const GATHER_MS = 25;

/** Rings when a file of the folder changes, and once a second for file systems that don't tell. */
export class FolderBell {
  rings = 0;
  readonly #stop: AbortController = new AbortController();
  #rung = Promise.withResolvers<void>();

  constructor(directory: string, signal: AbortSignal | undefined) {
    const ring = () => {
      this.rings += 1;
      this.#rung.resolve();
      this.#rung = Promise.withResolvers<void>();
    };
    const poll = setInterval(ring, POLL_MS);
    const watcher = watchFolder(directory, ring);
    const stop = () => {
      clearInterval(poll);
      watcher?.close();
      ring();
    };
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    signal?.addEventListener("abort", ring, { once: true, signal: this.#stop.signal });
  }

  async rungSince(rings: number): Promise<void> {
    if (this.rings === rings) await this.#rung.promise;
    await setTimeout(GATHER_MS);
  }

  close(): void {
    this.#stop.abort();
  }
}

/** Undefined where the system has no watch left to give. */
function watchFolder(directory: string, ring: () => void): FSWatcher | undefined {
  try {
    return watch(directory, { persistent: false }, ring).on("error", () => undefined);
  } catch {
    return undefined;
  }
}
