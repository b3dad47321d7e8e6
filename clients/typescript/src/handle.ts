import { ChangeStream } from "./change-stream.ts";
import { Derived } from "./derived.ts";
import type { NumberInput } from "./numbers.ts";
import type { Warn } from "./options.ts";
import type { AppliedChange } from "./replica.ts";
import { type SecretState, sameCurrent } from "./secret-state.ts";
import type { SecretVersion } from "./secret-version.ts";

/** An applied change of one secret. */
export type SecretChange = {
  readonly name: string;
  readonly previous: SecretState;
  readonly current: SecretState;
  /** Whether `current()` answers something else than before: other slot, bytes, failure or absence. */
  readonly currentChanged: boolean;
};

export type ChangeListener = (change: SecretChange) => void | Promise<void>;

/** Only for whoever owns the handles: gives a handle its next state. Not exported from the package. */
export let publish: (handle: SecretHandle, change: AppliedChange) => void;

/** Only for whoever owns the handles: calls the listeners of an applied change. */
export let announce: (handle: SecretHandle, change: AppliedChange) => void;

/** Only for whoever owns the handles: closes what was derived, and ends the streams of changes. */
export let release: (handle: SecretHandle) => Promise<void>;

/** The always-newest state of one secret. Reads are in memory, never wait and never fail for the server's absence. */
export class SecretHandle {
  readonly name: string;
  readonly #warn: Warn;
  readonly #listeners = new Set<Subscription>();
  readonly #open = new Set<{ close(): unknown }>();
  #state: SecretState;

  static {
    publish = (handle, { current }) => {
      handle.#state = current;
    };
    announce = (handle, { previous, current }) => {
      if (previous === undefined) return;
      const change: SecretChange = {
        name: handle.name,
        previous,
        current,
        currentChanged: !sameCurrent(previous, current),
      };
      for (const listener of handle.#listeners) listener.deliver(change);
    };
    release = async (handle) => {
      await Promise.all([...handle.#open].map((one) => one.close()));
    };
  }

  constructor(initial: SecretState, warn: Warn) {
    this.name = initial.name;
    this.#state = initial;
    this.#warn = warn;
  }

  /** The value in the largest slot. NOT_FOUND when the server said so, DATA_LOSS when that slot does not open. */
  current(): SecretVersion {
    return this.#state.top ?? this.#state.current();
  }

  /** The value in the largest slot at or below `at`. Errors as {@link current}. */
  effectiveAt(at: NumberInput): SecretVersion {
    return this.#state.effectiveAt(at);
  }

  /**
   * What a verifier should accept around a roll-over: every value effective somewhere in [t - overlap, t + overlap],
   * largest slot first. Empty when there is none.
   */
  acceptable(t: NumberInput, overlap: NumberInput): SecretVersion[] {
    return this.#state.acceptable(t, overlap);
  }

  /** The whole state, absent or not. */
  state(): SecretState {
    return this.#state;
  }

  /**
   * Calls `listener` once for each applied change, in order, one at a time (a returned promise is waited for). Not
   * called for the state of now. Gives the function that ends it.
   */
  onChange(listener: ChangeListener): () => void {
    const subscription = new Subscription(listener, (error) => {
      this.#warn(`a listener of "${this.name}" failed: ${error instanceof Error ? error.name : "unknown"}`);
    });
    this.#listeners.add(subscription);
    return () => {
      subscription.end();
      this.#listeners.delete(subscription);
    };
  }

  /** The changes from now on, for `for await`. Ends with the loop, with the signal, or when the set is closed. */
  changes(options: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterableIterator<SecretChange> {
    const { signal } = options;
    const end = (): void => stream.close();
    const stream = new ChangeStream(this, () => {
      this.#open.delete(stream);
      signal?.removeEventListener("abort", end);
    });
    this.#open.add(stream);
    if (signal?.aborted) stream.close();
    else signal?.addEventListener("abort", end);
    return stream;
  }

  /**
   * A resource built from the current version and rebuilt when its slot or bytes change: the new one is built and
   * put in place, then the old one closed. When building fails the old one stays, and building is tried again.
   */
  async derived<T>(
    build: (version: SecretVersion) => T | Promise<T>,
    close: (resource: T) => unknown = () => {},
  ): Promise<Derived<T>> {
    const derived = await Derived.create(this, build, close, this.#warn, () => {
      this.#open.delete(derived);
    });
    this.#open.add(derived);
    return derived;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `SecretHandle { name: '${this.name}', revision: ${this.#state.revision} }`;
  }
}

/** One listener and its turn: a slow one delays its own later calls, never the values. */
class Subscription {
  readonly #listener: ChangeListener;
  readonly #onError: (error: unknown) => void;
  #turn: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(listener: ChangeListener, onError: (error: unknown) => void) {
    this.#listener = listener;
    this.#onError = onError;
  }

  deliver(change: SecretChange): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#ended) return;
      try {
        await this.#listener(change);
      } catch (error) {
        this.#onError(error);
      }
    });
  }

  end(): void {
    this.#ended = true;
  }
}
