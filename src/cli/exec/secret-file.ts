import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { SecretValue } from "../../../clients/typescript/src/index.ts";

/** Writes a value into a file of mode 0600. Whoever reads it gets the old value or the new one, never a part. */
export async function writeSecretFile(path: string, value: SecretValue): Promise<void> {
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(draft, "wx", 0o600);
    try {
      await file.writeFile(value.bytes());
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}
