import { CacheWriter, readCache } from "./cache-file.ts";
import type { Connection } from "./connection.ts";
import { type Code, invalidArgument, SlotsError } from "./errors.ts";
import { announce, publish, SecretHandle } from "./handle.ts";
import { checkedNames } from "./names.ts";
import { type AppliedChange, Replica } from "./replica.ts";
import { Secrets } from "./secrets.ts";
import { type ViewName, WatchLoop } from "./watch-loop.ts";

/** How to open a set of handles. */
export type OpenOptions = {
  /** How long to wait until every name has a value, milliseconds. 10,000 by default. */
  readonly waitMs?: number | undefined;
  /** `CURRENT` follows the current slot alone. `ALL_ENABLED` by default. */
  readonly view?: ViewName | undefined;
  /** Keeps what was received in an encrypted file, so that open works while the server is away. */
  readonly cache?: CacheOptions | undefined;
  /** Gives up opening. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the stream ended, also after opening, and before it is opened again; undefined: it ended OK. */
  readonly onDisconnect?: ((error: SlotsError | undefined) => void) | undefined;
};

export type CacheOptions = {
  readonly path: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
};

/** How long a usable cache waits for a server that does not answer. */
const CACHE_PATIENCE_MS = 2000;

/** The server said no: waiting does not help, and a cache does not overrule it. */
const REFUSALS: ReadonlySet<Code> = new Set(["PERMISSION_DENIED", "INVALID_ARGUMENT", "UNIMPLEMENTED"]);

/** Opens handles for the names over one WatchSlots stream; see clients/README.md, section 3. */
export async function openSecrets(
  connection: Connection,
  wanted: readonly string[],
  options: OpenOptions,
): Promise<Secrets> {
  const names = checkedNames(wanted);
  const { view = "ALL_ENABLED", cache } = options;
  if (cache !== undefined && cache.key.byteLength !== 32)
    throw invalidArgument("the cache key must be 32 bytes");
  const cached = cache && (await readCache(cache, names, view, connection.warn));
  const replica = new Replica(names, cached);
  const opening = new Opening(names, replica, options.waitMs ?? 10_000, cached !== undefined);
  const writer = cache && new CacheWriter(cache, view, () => replica.snapshot(), connection.warn);

  // Filled when open is done: until then nobody reads.
  const handles = new Map<string, SecretHandle>();
  let stale = cached !== undefined;
  const apply = (changes: readonly AppliedChange[]): void => {
    for (const change of changes) {
      const handle = handles.get(change.current.name);
      if (handle !== undefined) publish(handle, change);
    }
    for (const change of changes) {
      const handle = handles.get(change.current.name);
      if (handle !== undefined) announce(handle, change);
    }
  };
  const loop = new WatchLoop(connection, names, view, replica, {
    onSynced: (changes) => {
      const wasStale = stale;
      stale = false;
      apply(changes);
      if (changes.length > 0 || wasStale) writer?.changed();
      opening.synced();
    },
    onProgress: () => {
      stale = false;
      writer?.progressed();
      opening.synced();
    },
    onEnded: (error) => {
      if (connection.closed) return opening.cancel();
      opening.streamEnded(error);
      options.onDisconnect?.(error);
    },
  });

  loop.start();
  try {
    await opening.done(options.signal);
  } catch (error) {
    await loop.close();
    throw error;
  }
  for (const name of names) handles.set(name, new SecretHandle(replica.state(name)!, connection.warn));
  if (!stale) await writer?.flush();
  return new Secrets(handles, {
    ageMs: () => loop.ageMs,
    stale: () => stale,
    close: async () => {
      await loop.close();
      await writer?.close();
    },
  });
}

/** Decides when open is over: with values for all, or with the error that says why not. */
class Opening {
  readonly #names: readonly string[];
  readonly #replica: Replica;
  readonly #waitMs: number;
  readonly #cached: boolean;
  readonly #result: Promise<void>;
  #resolve: () => void = () => {};
  #reject: (error: SlotsError) => void = () => {};
  #lastError: SlotsError | undefined;
  #contact = false;
  #unauthenticated = 0;

  constructor(names: readonly string[], replica: Replica, waitMs: number, cached: boolean) {
    this.#names = names;
    this.#replica = replica;
    this.#waitMs = waitMs;
    this.#cached = cached;
    this.#result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Rejected before anyone waits is no unhandled rejection.
    this.#result.catch(() => {});
  }

  async done(signal: AbortSignal | undefined): Promise<void> {
    const timeout = setTimeout(() => this.#reject(this.#missingError()), this.#waitMs);
    const patience = this.#cached
      ? setTimeout(() => this.#settleFromCache(), Math.min(CACHE_PATIENCE_MS, this.#waitMs / 2))
      : undefined;
    const abort = (): void => this.cancel();
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    try {
      await this.#result;
    } finally {
      clearTimeout(timeout);
      clearTimeout(patience);
      signal?.removeEventListener("abort", abort);
    }
  }

  cancel(): void {
    this.#reject(new SlotsError("CANCELLED", "open was cancelled", { reason: "CANCELLED" }));
  }

  synced(): void {
    this.#contact = true;
    this.#unauthenticated = 0;
    if (this.#missing().length === 0) this.#resolve();
  }

  streamEnded(error: SlotsError | undefined): void {
    this.#lastError = error ?? this.#lastError;
    if (error === undefined) return;
    if (REFUSALS.has(error.code) || (error.code === "UNAUTHENTICATED" && ++this.#unauthenticated > 1)) {
      this.#reject(error);
    } else if (error.code === "UNAVAILABLE") {
      this.#settleFromCache();
    }
  }

  #settleFromCache(): void {
    if (this.#cached && !this.#contact && this.#missing().length === 0) this.#resolve();
  }

  #missing(): string[] {
    return this.#names.filter((name) => this.#replica.state(name)?.top === undefined);
  }

  #missingError(): SlotsError {
    const missing = this.#missing();
    const list = missing.map((name) => `"${name}" (${this.#why(name)})`).join(", ");
    const message = `no value within ${this.#waitMs} ms for ${list}`;
    return new SlotsError("DEADLINE_EXCEEDED", message, {
      reason: "SECRETS_MISSING",
      metadata: { missing: missing.join(",") },
      cause: this.#lastError,
    });
  }

  #why(name: string): string {
    const state = this.#replica.state(name);
    if (state === undefined) {
      const error = this.#lastError;
      return error === undefined ? "no contact" : `no contact, ${error.code}: ${error.message}`;
    }
    if (state.absent === undefined) return "does not open on the server";
    return state.absent === "NOT_EXISTING" ? "does not exist" : "has no enabled slot";
  }
}
