import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { Keyring } from "./crypto/keyring.ts";
import { createMasterKeyFile } from "./crypto/master-key-file.ts";
import {
  environmentProvider,
  fileProvider,
  loadMasterKeys,
  type MasterKeyProvider,
  systemdProvider,
} from "./crypto/master-key-providers.ts";
import { makeFolder } from "./disk/durable.ts";
import { isFailedDisk } from "./disk/failed-disk.ts";
import type { StoreKeyPurpose } from "./domain/sealed-record.ts";
import { introduceKeys, makeAdminToken } from "./first-start.ts";
import type { Logger } from "./log.ts";
import { messageOf } from "./message-of.ts";
import { type Settings, StartError } from "./settings.ts";
import { openMemoryStorage } from "./storage/memory/memory-storage.ts";
import { inspectStore } from "./storage/sqlite/inspect.ts";
import { FAILED_FLUSH_EXIT_CODE, openSqliteStorage } from "./storage/sqlite/open.ts";
import { removeRemains, restoreRemains } from "./storage/sqlite/remains.ts";
import type { Pipe } from "./storage/sqlite/remote-channel.ts";
import type { SqliteStorage } from "./storage/sqlite/sqlite-storage.ts";
import type { Storage } from "./storage/storage.ts";

export interface OpenedStore<S extends Storage = Storage> {
  /** Absolute. */
  readonly dataDir: string;
  readonly storage: S;
  readonly keyring: Keyring;
  readonly storeKeys: Record<StoreKeyPurpose, Uint8Array>;
}

/**
 * Opens the store with its keys, and makes both at the first start. A wrong key is told before anything is written.
 * With a `writer`, another process writes, and has done what a start has to do.
 */
export async function openStore(settings: Settings, log: Logger, writer?: Pipe): Promise<OpenedStore> {
  if (settings.engine === "sqlite") return openSqliteStore(settings, log, writer);
  const dataDir = makeDataDir(settings);
  const keyring = new Keyring(await loadMasterKeys(providers(settings, dataDir, log)));
  return introduce(settings, log, { dataDir, storage: openMemoryStorage(), keyring });
}

export async function openSqliteStore(
  settings: Settings,
  log: Logger,
  writer?: Pipe,
): Promise<OpenedStore<SqliteStorage>> {
  const dataDir = makeDataDir(settings);
  refuseHalfRestored(dataDir);
  const keyring = new Keyring(await loadMasterKeys(providers(settings, dataDir, log)));
  const inspection = inspectStore(dataDir);
  if (inspection !== undefined) {
    for (const keyId of keyring.admit(inspection.storeId, inspection.masterKeys)) {
      log.warn({ keyId }, "a master key of the store is not loaded; what it still wraps can't be read");
    }
  }
  const storage = await openSqliteStorage({
    dataDir,
    maxWaiting: settings["write-queue"],
    // The end of what was told to wait is told, too.
    onEvent: (event) =>
      log[event.kind === "wal-truncated" && event.attempts === 1 ? "debug" : "info"](event, "store"),
    onFatal: (reason) => endInDoubt("the store", reason),
    ...(writer === undefined ? {} : { writer }),
  });
  return introduce(settings, log, { dataDir, storage, keyring }, writer !== undefined);
}

async function introduce<S extends Storage>(
  settings: Settings,
  log: Logger,
  store: Omit<OpenedStore<S>, "storeKeys">,
  asWorker = false,
): Promise<OpenedStore<S>> {
  const { storage, keyring, dataDir } = store;
  const storeKeys = await introduceKeys(storage, keyring, Date.now());
  if (asWorker) return { ...store, storeKeys };
  if (settings["new-epoch"]) log.info({ epoch: await storage.newEpoch() }, "a new epoch began");
  const tokenFile = await makeAdminToken(storage, dataDir, Date.now());
  if (tokenFile !== undefined) {
    log.info(
      `made ${join(dataDir, "master.key")} and ${tokenFile}: for production move both out of the data ` +
        "directory (see docs/operating.md), and start with --master-key-file or --master-key-credential",
    );
  }
  return { ...store, storeKeys };
}

const PRUNE_EVERY_MS = 10 * 60 * 1000;

/** Forgets old change records and requests from time to time, and what killed processes left. Returns how to stop. */
export function pruneNowAndThen(storage: Storage, settings: Settings, log: Logger): () => void {
  const tidy = () => {
    if (settings.engine !== "sqlite") return;
    try {
      removeRemains(resolve(settings["data-dir"]), Date.now());
    } catch (error) {
      log.warn(
        { cause: messageOf(error) },
        "what a killed process left could not be removed; it is tried again",
      );
    }
  };
  const prune = async () => {
    tidy();
    const now = Date.now();
    try {
      await storage.prune(now - settings["change-retention-hours"] * 3_600_000, now);
    } catch (error) {
      log.warn({ cause: messageOf(error) }, "old change records could not be pruned; it is tried again");
    }
  };
  tidy();
  const timer = setInterval(() => void prune(), PRUNE_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** A flush that failed, or a file that is gone, leaves in doubt what is kept: nothing may be answered any more (D5). */
export function endInDoubt(what: string, cause: unknown): never {
  process.stderr.write(
    `slots: ${what} is in doubt: ${messageOf(cause)}. Ending, so that nothing is answered that may not last; see to ` +
      "its disk and files, then start again\n",
  );
  process.exit(FAILED_FLUSH_EXIT_CODE);
}

/** A new store here would look like the one that was to be restored, with all of it lost. */
function refuseHalfRestored(dataDir: string): void {
  if (existsSync(join(dataDir, "store.db")) || restoreRemains(dataDir).length === 0) return;
  throw new StartError(
    `a restore into ${dataDir} is under way or was cut: run 'slots backup restore' again, which begins anew`,
  );
}

function makeDataDir(settings: Settings): string {
  const dataDir = resolve(settings["data-dir"]);
  try {
    // A store's file has its name only after the folder's own is durable, so that a start over one need not see to that.
    if (!existsSync(join(dataDir, "store.db"))) makeFolder(dataDir);
    if (!statSync(dataDir).isDirectory()) throw new Error("is not a directory");
  } catch (error) {
    throw new StartError(`--data-dir: can't use ${dataDir}: ${messageOf(error)}`);
  }
  return dataDir;
}

function providers(settings: Settings, dataDir: string, log: Logger): readonly MasterKeyProvider[] {
  const given: MasterKeyProvider[] = [];
  const {
    "master-key-file": file,
    "master-key-env": variable,
    "master-key-credential": credential,
  } = settings;
  if (file !== undefined) given.push(fileProvider(resolve(file)));
  if (variable !== undefined) given.push(environmentProvider(variable));
  if (credential !== undefined) given.push(systemdProvider(credential));
  if (given.length > 0) return given;
  const standard = join(dataDir, "master.key");
  // Before the key is looked for: another process that starts here for the first time makes the key and then the store.
  const hasStore = existsSync(join(dataDir, "store.db"));
  if (!existsSync(standard)) {
    if (hasStore) {
      throw new StartError(
        `${standard} is missing and the store in ${dataDir} can't be opened without it: put it back, or say where ` +
          "it is with --master-key-file, --master-key-env or --master-key-credential",
      );
    }
    try {
      createMasterKeyFile(standard);
      log.debug({ file: standard }, "made a master key");
    } catch (error) {
      // Whichever process was first, its key is the one; but a name that could not be flushed is nobody's.
      if (!existsSync(standard) || isFailedDisk((error as Error).cause)) throw error;
    }
  }
  return [fileProvider(standard)];
}
