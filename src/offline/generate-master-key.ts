import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { MasterKey } from "../crypto/master-key.ts";
import { createMasterKeyFile, readMasterKeyFile } from "../crypto/master-key-file.ts";
import { formatMasterKey } from "../crypto/master-key-text.ts";
import { flushNameOf } from "../disk/durable.ts";

/** Adds a new key to a key file, after those it has; makes the file when it isn't there. Returns the key's id. */
export async function generateMasterKey(path: string): Promise<string> {
  const file = resolve(path);
  if (!existsSync(file)) return createMasterKeyFile(file).id;
  // Refuses a file that others may read, or that holds something else.
  readMasterKeyFile(file);
  const before = await readFile(file, "latin1");
  const key = MasterKey.generate();
  const text = `${before.replace(/\n?$/, "\n")}# Master key ${key.id}.\n${formatMasterKey(key)}\n`;
  // Written whole beside it, then renamed: a cut never leaves half a key file.
  const draft = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeSynced(draft, text);
    await rename(draft, file);
    flushNameOf(file);
  } finally {
    await rm(draft, { force: true });
  }
  return key.id;
}

async function writeSynced(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(text, "latin1");
    await handle.sync();
  } finally {
    await handle.close();
  }
}
