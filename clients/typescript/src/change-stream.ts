import type { SecretChange, SecretHandle } from "./handle.ts";

/** The changes of a handle from the moment it was made, for `for await`. Made by `handle.changes`. */
export class ChangeStream implements AsyncIterableIterator<SecretChange> {
  readonly #waiting: SecretChange[] = [];
  readonly #unsubscribe: () => void;
  readonly #onClose: () => void;
  #wake: () => void = () => {};
  #ended = false;

  constructor(handle: SecretHandle, onClose: () => void) {
    this.#onClose = onClose;
    this.#unsubscribe = handle.onChange((change) => {
      this.#waiting.push(change);
      this.#wake();
    });
  }

  async next(): Promise<IteratorResult<SecretChange, undefined>> {
    while (this.#waiting.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const change = this.#ended ? undefined : this.#waiting.shift();
    return change === undefined ? { done: true, value: undefined } : { done: false, value: change };
  }

  return(): Promise<IteratorResult<SecretChange, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends it; whoever waits for the next change gets the end. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsubscribe();
    this.#onClose();
    this.#wake();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
