/** Runs tasks of one key one after the other, in the order they came. */
export class Serial {
  readonly #tails = new Map<string, Promise<void>>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const running = before === undefined ? task() : before.then(task);
    const tail = running.then(
      () => {},
      () => {},
    );
    this.#tails.set(key, tail);
    try {
      return await running;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
