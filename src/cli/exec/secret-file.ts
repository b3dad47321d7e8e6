import { randomBytes } from "node:crypto";
import { lstat, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { SecretValue } from "../../../clients/typescript/src/index.ts";

/** Files of mode 0600 with a value each, for as long as they are needed. */
export class SecretFiles {
  /** What each path led to when it was written last. */
  readonly #written = new Map<string, string>();

  /** Whoever reads the file gets the old value or the new one, never a part. */
  async write(path: string, value: SecretValue): Promise<void> {
    const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
    try {
      const file = await open(draft, "wx", 0o600);
      try {
        await file.writeFile(value.bytes());
        await file.sync();
      } finally {
        await file.close();
      }
      this.#written.set(path, (await identityOf(draft)) ?? "");
      await rename(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
  }

  /** Removes them, but for those that somebody else has put something in the place of. */
  async remove(): Promise<void> {
    for (const [path, identity] of this.#written) {
      if ((await identityOf(path)) === identity) await rm(path, { force: true });
    }
    this.#written.clear();
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}
