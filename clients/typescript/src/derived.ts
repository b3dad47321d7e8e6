import { backoffMs, sleep } from "./backoff.ts";
import type { SecretHandle } from "./handle.ts";
import type { Warn } from "./options.ts";
import type { SecretVersion } from "./secret-version.ts";

type Build<T> = (version: SecretVersion) => T | Promise<T>;

/** A resource that follows a secret: there is always one that works. Made by `handle.derived`. */
export class Derived<T> {
  readonly #handle: SecretHandle;
  readonly #build: Build<T>;
  readonly #closeResource: (resource: T) => unknown;
  readonly #warn: Warn;
  readonly #onClose: () => void;
  readonly #abort = new AbortController();
  #resource: T;
  #builtFrom: SecretVersion;
  #following: Promise<void> = Promise.resolve();
  #wake: (() => void) | undefined;
  #unsubscribe: (() => void) | undefined;

  private constructor(
    handle: SecretHandle,
    build: Build<T>,
    closeResource: (resource: T) => unknown,
    warn: Warn,
    onClose: () => void,
    first: { readonly resource: T; readonly version: SecretVersion },
  ) {
    this.#handle = handle;
    this.#build = build;
    this.#closeResource = closeResource;
    this.#warn = warn;
    this.#onClose = onClose;
    this.#resource = first.resource;
    this.#builtFrom = first.version;
  }

  /** Builds the first resource; its error is the caller's. */
  static async create<T>(
    handle: SecretHandle,
    build: Build<T>,
    closeResource: (resource: T) => unknown,
    warn: Warn,
    onClose: () => void,
  ): Promise<Derived<T>> {
    const version = handle.current();
    const resource = await build(version);
    const derived = new Derived(handle, build, closeResource, warn, onClose, { resource, version });
    derived.#unsubscribe = handle.onChange(() => derived.#wake?.());
    derived.#following = derived.#follow(derived.#abort.signal);
    return derived;
  }

  /** The newest resource that could be built. */
  get(): T {
    return this.#resource;
  }

  /** Ends following and closes the resource. */
  async close(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#unsubscribe?.();
    this.#wake?.();
    this.#onClose();
    await this.#following;
    await this.#discard(this.#resource);
  }

  /** The version to build from, or undefined while the resource is what it should be. */
  #wanted(): SecretVersion | undefined {
    const { top } = this.#handle.state();
    if (top === undefined) return undefined;
    const same = top.slot === this.#builtFrom.slot && top.value.equals(this.#builtFrom.value);
    return same ? undefined : top;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      // The promise comes before the look, so that a change in between still wakes us.
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const version = this.#wanted();
      if (version === undefined) {
        failures = 0;
        await changed;
      } else if (await this.#rebuild(version, signal)) {
        failures = 0;
      } else if (!signal.aborted) {
        await this.#pause(backoffMs(failures++), changed);
      }
    }
  }

  async #rebuild(version: SecretVersion, signal: AbortSignal): Promise<boolean> {
    let next: T;
    try {
      next = await this.#build(version);
    } catch (error) {
      const kind = error instanceof Error ? error.name : "unknown";
      this.#warn(`what is derived from "${version.name}" was not rebuilt, the old one stays: ${kind}`);
      return false;
    }
    if (signal.aborted) {
      await this.#discard(next);
      return false;
    }
    const old = this.#resource;
    this.#resource = next;
    this.#builtFrom = version;
    await this.#discard(old);
    return true;
  }

  async #pause(ms: number, changed: Promise<void>): Promise<void> {
    const enough = new AbortController();
    await Promise.race([sleep(ms, enough.signal), changed]);
    enough.abort();
  }

  async #discard(resource: T): Promise<void> {
    try {
      await this.#closeResource(resource);
    } catch (error) {
      const kind = error instanceof Error ? error.name : "unknown";
      this.#warn(`what was derived from "${this.#handle.name}" did not close: ${kind}`);
    }
  }
}
