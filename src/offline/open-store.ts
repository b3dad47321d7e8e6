import { join } from "node:path";
import { Keyring } from "../crypto/keyring.ts";
import { environmentProvider, fileProvider, loadMasterKeys } from "../crypto/master-key-providers.ts";
import { SlotsError } from "../domain/errors.ts";
import type { StoreKeyPurpose } from "../domain/sealed-record.ts";
import { StorageOpenError } from "../storage/open-error.ts";
import { inspectStore } from "../storage/sqlite/inspect.ts";
import { openSqliteStorage } from "../storage/sqlite/open.ts";
import type { Storage } from "../storage/storage.ts";

/** Where the master keys are; a file unless a variable is named. */
export interface KeySource {
  readonly masterKeyFile?: string | undefined;
  readonly masterKeyEnv?: string | undefined;
}

export interface OpenedStore {
  readonly storage: Storage;
  readonly keyring: Keyring;
}

/**
 * Opens a store that is there, with the keys that it was made with; fails before anything is changed. A server may
 * run on it at the same time.
 */
export async function openStore(dataDir: string, keys: KeySource): Promise<OpenedStore> {
  const inspection = inspectStore(dataDir);
  if (inspection === undefined) {
    throw new StorageOpenError(
      join(dataDir, "store.db"),
      "there is no store; name its folder with --data-dir",
    );
  }
  const keyring = await loadKeyring(keys, join(dataDir, "master.key"));
  keyring.admit(inspection.storeId, inspection.masterKeys);
  return { keyring, storage: await openSqliteStorage({ dataDir, create: false }) };
}

export async function loadKeyring(
  { masterKeyFile, masterKeyEnv }: KeySource,
  standardFile: string,
): Promise<Keyring> {
  const provider =
    masterKeyEnv !== undefined && masterKeyFile === undefined
      ? environmentProvider(masterKeyEnv)
      : fileProvider(masterKeyFile ?? standardFile);
  return new Keyring(await loadMasterKeys([provider]));
}

/** One of the store's own keys. */
export function storeKey({ storage, keyring }: OpenedStore, purpose: StoreKeyPurpose): Uint8Array {
  const record = storage.storeKeys().find((each) => each.purpose === purpose);
  if (record === undefined) throw new SlotsError("RECORD_DAMAGED", `the store has no key '${purpose}'`);
  return keyring.openStoreKey(storage.identity.storeId, record);
}
