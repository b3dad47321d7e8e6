import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { withTmpfs } from "./needs.ts";

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** Done once the test is over, the last first. */
export function afterwards(clean: () => Promise<void> | void): void {
  cleanups.push(clean);
}

/** A folder that is removed once the test is over. */
export function folder(): string {
  return removed(mkdtempSync(join(tmpdir(), "slots-scratch-")));
}

/** The same in memory, where there is such a place: for what is written thousands of times. */
export function fastFolder(): string {
  return removed(mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slots-scratch-")));
}

/** A disk of its own, such as "32m" large. */
export function disk(size: string): string {
  const mounted = folder();
  if (!withTmpfs(mounted, size)) throw new Error("can't mount a tmpfs");
  afterwards(() => void spawnSync("umount", ["--lazy", mounted]));
  return mounted;
}

function removed(made: string): string {
  afterwards(() => rmSync(made, { recursive: true, force: true }));
  return made;
}
