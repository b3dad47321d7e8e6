import { type FSWatcher, realpathSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";

export interface WatchFilesOptions {
  /** The net under missed notifications (network file systems, replaced folders), milliseconds. */
  readonly pollMs: number;
  /** How long to wait after a first notification, so that a certificate and its key are read together. */
  readonly settleMs?: number;
}

const SETTLE_MS = 100;

/**
 * Calls `changed` after something may have happened to one of the files; the caller reads them and compares.
 *
 * Folders are watched, not files: a rename over the file or a swap of the symbolic link that leads to it
 * (Kubernetes swaps `..data` beside the file) leaves a watched file behind, a watched folder not.
 */
export function watchFiles(
  files: readonly string[],
  changed: () => void,
  options: WatchFilesOptions,
): { close(): void } {
  const watchers = new Map<string, FSWatcher>();
  let settling: NodeJS.Timeout | undefined;

  const notified = () => {
    // Not pushed back by later notifications: a busy folder must not keep a revocation waiting.
    settling ??= setTimeout(() => {
      settling = undefined;
      arm();
      changed();
    }, options.settleMs ?? SETTLE_MS).unref();
  };

  const arm = () => {
    const wanted = new Set(files.flatMap(foldersOf));
    for (const [folder, watcher] of watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of wanted) {
      if (watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (_event, name) => {
          // The folder itself was moved or removed: its watcher is deaf from now on, and a new one is needed.
          if (name === null || resolve(folder, "..", name) === folder) drop(folder);
          notified();
        });
        watcher.on("error", () => drop(folder));
        watchers.set(folder, watcher);
      } catch {
        // Not there now: the poll tries again.
      }
    }
  };

  const drop = (folder: string) => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };

  arm();
  const poll = setInterval(() => {
    arm();
    changed();
  }, options.pollMs).unref();

  return {
    close() {
      clearInterval(poll);
      clearTimeout(settling);
      for (const folder of [...watchers.keys()]) drop(folder);
    },
  };
}

/** Where the path lies, and where it leads to. */
function foldersOf(file: string): string[] {
  const folder = dirname(resolve(file));
  try {
    return [folder, dirname(realpathSync(file))];
  } catch {
    return [folder];
  }
}
