import { readFileSync } from "node:fs";
import { createLocalJWKSet, type JSONWebKeySet, type LocalJWKSet } from "jose";
import { watchFiles } from "../tls/files.ts";
import { type FetchJsonOptions, fetchJson } from "./fetch-json.ts";

export type Report = (level: "info" | "warn" | "error", message: string) => void;

/** Where an issuer's public keys come from. Keys once read stay in use while newer ones can't be had. */
export interface KeySource {
  /** Undefined until there are any. */
  readonly keys: LocalJWKSet | undefined;
  /** Another number whenever the keys are others: what was verified under the old ones counts no more. */
  readonly version: number;
  /** Looks for newer keys, for a token whose key is not known; does nothing within the cool-down. Never throws. */
  refresh(): Promise<void>;
  /** The same without a cool-down, for the operator. */
  reload(): Promise<void>;
  close(): void;
}

/** Holds the keys read last, and notices whether a new reading differs. */
class HeldKeys {
  keys: LocalJWKSet | undefined;
  version = 0;
  #text = "";

  /** Throws when `document` is no key set that can be used. */
  take(document: unknown): boolean {
    const set = publicKeys(document);
    const text = JSON.stringify(set);
    if (text === this.#text) return false;
    this.keys = createLocalJWKSet(set);
    this.#text = text;
    this.version++;
    return true;
  }
}

const MAX_KEYS = 100;
const ASYMMETRIC: ReadonlySet<unknown> = new Set(["RSA", "EC", "OKP"]);

/**
 * The set without its symmetric keys: with one of those, whoever may verify could also sign. Jose refuses them
 * besides, and private keys, when they would be used.
 */
function publicKeys(document: unknown): JSONWebKeySet {
  const keys: unknown = (document as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys)) throw new Error("not a JSON Web Key Set");
  if (keys.length > MAX_KEYS) throw new Error(`more than ${MAX_KEYS} keys`);
  const usable = keys.filter((key: { kty?: unknown } | null) => ASYMMETRIC.has(key?.kty));
  if (usable.length === 0) throw new Error("it holds no public key");
  return { keys: usable };
}

export interface FileKeysOptions {
  readonly file: string;
  readonly report: Report;
  readonly pollMs?: number;
}

const POLL_MS = 5_000;
/** Tokens of unknown keys must not make us read the file all the time. */
const FILE_COOLDOWN_MS = 1_000;

/** Keys from a file, read again when it changes. Throws when the first reading fails: that is a wrong setting. */
export function keysFromFile(options: FileKeysOptions): KeySource {
  const { file, report } = options;
  const held = new HeldKeys();
  let reported = "";
  let lastRead = 0;
  const read = () => {
    lastRead = performance.now();
    try {
      if (held.take(JSON.parse(readFileSync(file, "utf8")))) report("info", `JWKS ${file}: loaded`);
      reported = "";
    } catch (error) {
      const message = messageOf(error);
      if (held.keys === undefined) throw new Error(`JWKS ${file}: ${message}`);
      if (message !== reported) report("error", `JWKS ${file}: the last good keys stay in use: ${message}`);
      reported = message;
    }
  };
  read();
  const watcher = watchFiles([file], read, { pollMs: options.pollMs ?? POLL_MS });
  return {
    get keys() {
      return held.keys;
    },
    get version() {
      return held.version;
    },
    async refresh() {
      if (performance.now() - lastRead >= FILE_COOLDOWN_MS) read();
    },
    async reload() {
      read();
    },
    close: () => watcher.close(),
  };
}

export interface UrlKeysOptions extends FetchJsonOptions {
  readonly report: Report;
  readonly now: () => number;
  /** How long keys are used before they are asked for again, milliseconds. */
  readonly maxAgeMs?: number;
  /** The least time between two requests, however many unknown keys turn up, milliseconds. */
  readonly cooldownMs?: number;
}

const MAX_AGE_MS = 5 * 60_000;
const COOLDOWN_MS = 10_000;

/** Keys from an address. A first request goes out at once, but a server starts without waiting for its issuer. */
export function keysFromUrl(options: UrlKeysOptions): KeySource {
  const { report, now, url } = options;
  const cooldown = options.cooldownMs ?? COOLDOWN_MS;
  const held = new HeldKeys();
  let running: Promise<void> | undefined;
  let lastStart = Number.NEGATIVE_INFINITY;
  let failing = false;

  const load = async () => {
    try {
      const changed = held.take(await fetchJson(options));
      if (changed || failing) report("info", `JWKS ${url}: loaded`);
      failing = false;
    } catch (error) {
      const consequence = held.keys === undefined ? "no key is known" : "the known keys stay in use";
      if (!failing) report("error", `JWKS ${url}: ${consequence}: ${messageOf(error)}`);
      failing = true;
    }
  };
  const reload = (): Promise<void> => {
    if (running !== undefined) return running;
    lastStart = now();
    running = load().finally(() => {
      running = undefined;
    });
    return running;
  };
  const refresh = async (): Promise<void> => {
    if (running !== undefined || now() - lastStart >= cooldown) await reload();
  };
  const timer = setInterval(() => void refresh(), options.maxAgeMs ?? MAX_AGE_MS).unref();
  void reload();
  return {
    get keys() {
      return held.keys;
    },
    get version() {
      return held.version;
    },
    refresh,
    reload,
    close: () => clearInterval(timer),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
