import { flush, flushNameOf, makeFolder } from "../../disk/durable.ts";
import { StorageOpenError } from "../open-error.ts";
import { hangBell } from "./bell.ts";
import { assertDurable, BUSY_TIMEOUT_MS, type Connection, configure, connect } from "./connection.ts";
import { createStore, migrate } from "./create.ts";
import { type StoreFiles, sizeOf, storeFiles } from "./files.ts";
import { inspectStore, openError } from "./inspect.ts";
import { Reader } from "./reader.ts";
import { type Pipe, RemoteChannel } from "./remote-channel.ts";
import { SCHEMA_VERSION } from "./schema.ts";
import { assembleStorage, type SqliteStorage } from "./sqlite-storage.ts";
import type { StoreEvent } from "./store-event.ts";
import { ThreadChannel } from "./thread-channel.ts";

/** The status of a process that ends because a flush failed (D5). */
export const FAILED_FLUSH_EXIT_CODE = 70;

export interface SqliteStorageOptions {
  /** Holds `store.db` and its companions. */
  readonly dataDir: string;
  /** Whether to make the store when there is none; true by default. */
  readonly create?: boolean;
  /** Writes that may wait at a time; more are refused WRITE_QUEUE_FULL. 4,096 by default. */
  readonly maxWaiting?: number;
  /** Bytes of sealed values that may wait at a time. 64 MiB by default. */
  readonly maxWaitingBytes?: number;
  /**
   * To the process that holds the store's writer, which serves it with `serveWrites`; left out, a writer thread is
   * started in this one. Two writers starve each other: the processes of one server share one.
   */
  readonly writer?: Pipe;
  /** How long a write waits for another process's; then it fails STORE_BUSY. 5 s by default. */
  readonly busyTimeoutMs?: number;
  readonly onEvent?: (event: StoreEvent) => void;
  /** Called when a flush failed or the writer broke. Must end the process, which is what it does by default. */
  readonly onFatal?: (reason: string) => void;
}

/** Opens the store in a directory, and makes it if there is none. Fails with a StorageOpenError. */
export async function openSqliteStorage(options: SqliteStorageOptions): Promise<SqliteStorage> {
  const files = storeFiles(options.dataDir);
  const { file, bellFile } = files;
  const { busyTimeoutMs = BUSY_TIMEOUT_MS } = options;
  let db: Connection | undefined;
  try {
    if (inspectStore(options.dataDir) === undefined) {
      if (options.create === false) throw new StorageOpenError(file, "there is no store");
      makeFolder(options.dataDir);
      createStore(file);
    }
    hangBell(bellFile);
    db = connectForReading(file, busyTimeoutMs);
    const reader = new Reader(db);
    const identity = { storeId: reader.storeId(), schemaVersion: SCHEMA_VERSION };
    settle(files);
    const bounds = {
      maxWaiting: options.maxWaiting ?? 4096,
      maxWaitingBytes: options.maxWaitingBytes ?? 64 * 1024 * 1024,
    };
    const onEvent = options.onEvent ?? (() => {});
    const onFatal = options.onFatal ?? endProcess;
    const channel =
      options.writer === undefined
        ? await ThreadChannel.open({ file, bellFile, busyTimeoutMs, ...bounds, onEvent, onFatal })
        : new RemoteChannel(options.writer, bounds);
    return assembleStorage({ identity, file, bellFile, reader, channel });
  } catch (error) {
    db?.close();
    throw openError(file, error);
  }
}

/** Brings the store up to date first: a restored copy is not in WAL mode yet. */
function connectForReading(file: string, busyTimeoutMs: number): Connection {
  const db = connect(file, busyTimeoutMs);
  try {
    db.pragma("journal_mode = WAL");
    configure(db);
    migrate(db);
    assertDurable(db);
    db.pragma("query_only = ON");
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Makes what recovery found durable before anybody reads it: a commit that was killed inside its flush is
 * readable, but not yet safe (W1). The database file needs no flush: it is written from the WAL alone, which
 * lives until that is flushed.
 */
function settle({ file, walFile }: StoreFiles): void {
  if (sizeOf(walFile) !== undefined) flush(walFile);
  flushNameOf(file);
}

function endProcess(reason: string): void {
  process.stderr.write(`the store failed (${reason}): ending, so that nothing is answered in doubt\n`);
  process.exit(FAILED_FLUSH_EXIT_CODE);
}
