import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeToken } from "./core/tokens.ts";
import type { Keyring } from "./crypto/keyring.ts";
import { hashToken, parseToken, type Token } from "./crypto/tokens.ts";
import { publish } from "./disk/durable.ts";
import { isFailedDisk } from "./disk/failed-disk.ts";
import { ROOT_PRINCIPAL } from "./domain/access.ts";
import { STORE_KEY_PURPOSES, type StoreKeyPurpose } from "./domain/sealed-record.ts";
import { messageOf } from "./message-of.ts";
import { StartError } from "./settings.ts";
import type { Storage } from "./storage/storage.ts";

/** Lets the store know the keys that are loaded, and makes the store's own keys where there are none yet. */
export async function introduceKeys(
  storage: Storage,
  keyring: Keyring,
  now: number,
): Promise<Record<StoreKeyPurpose, Uint8Array>> {
  const { storeId } = storage.identity;
  const known = new Set(storage.masterKeys().map(({ keyId }) => keyId));
  const order = [keyring.primaryId, ...keyring.keyIds.filter((id) => id !== keyring.primaryId)];
  const unknown = order.filter((id) => !known.has(id));
  await storage.addMasterKeys(unknown.map((id) => keyring.masterKeyRecord(storeId, id, now)));

  const records = new Map(storage.storeKeys().map((record) => [record.purpose, record]));
  for (const purpose of STORE_KEY_PURPOSES) {
    if (records.has(purpose)) continue;
    // Another process may be starting on the same new store: the record that was there first counts for both.
    await storage.addStoreKeys([keyring.createStoreKey(storeId, purpose).record]);
    const record = storage.storeKeys().find((each) => each.purpose === purpose);
    if (record !== undefined) records.set(purpose, record);
  }
  const open = (purpose: StoreKeyPurpose): Uint8Array => {
    const record = records.get(purpose);
    if (record === undefined)
      throw new StartError(`the store has no key '${purpose}'; restore it from a backup`);
    return keyring.openStoreKey(storeId, record);
  };
  return { audit: open("audit"), "request-digest": open("request-digest") };
}

/**
 * Makes the admin token of a store that has no token yet. The file comes first: a start that is cut in between
 * finds it and goes on with it, while a token that only the store knew could never be used.
 */
export async function makeAdminToken(
  storage: Storage,
  dataDir: string,
  now: number,
): Promise<string | undefined> {
  if (storage.listTokens(undefined, 1).tokens.length > 0) return undefined;
  const file = join(dataDir, "admin.token");
  const made = makeToken(
    { principal: ROOT_PRINCIPAL, groups: [], comment: "made at first start", expireTime: undefined },
    now,
  );
  await writeOwnersFile(file, `${made.token}\n`);
  const token = readAdminToken(file);
  try {
    await storage.commit({
      commitId: randomBytes(16),
      time: now,
      principal: ROOT_PRINCIPAL,
      rpc: "FirstStart",
      mutation: { kind: "create-token", token: { ...made.record, hash: hashToken(token) } },
    });
  } catch (error) {
    // Another process that starts on the same new store has put the same token in.
    if (storage.findToken(hashToken(token)).token === undefined) throw error;
  }
  return file;
}

function readAdminToken(file: string): Token {
  const token = parseToken(readFileSync(file, "utf8").trim());
  if (token === undefined)
    throw new StartError(`${file} holds no token, and the store has none: remove the file and start again`);
  return token;
}

/** Makes a file of mode 0600 where there is none, safe on disk; under its own name only once it is whole. */
async function writeOwnersFile(file: string, text: string): Promise<void> {
  if (existsSync(file)) return;
  const draft = `${file}.new-${randomBytes(6).toString("hex")}`;
  try {
    await writeFile(draft, text, { flag: "wx", mode: 0o600, flush: true });
    publish(draft, file);
  } catch (error) {
    // Somebody else was faster; but a name that could not be flushed is nobody's.
    if (existsSync(file) && !isFailedDisk(error)) return;
    throw new StartError(`${file} can't be made: ${messageOf(error)}`);
  } finally {
    await rm(draft, { force: true });
  }
}
