import type { SecretValue } from "../domain/secret-value.ts";

const HELD_AGAIN_MS = 100;

/**
 * Overwrites values that are no longer kept. Not at once: a value that was opened in this turn of the event loop may
 * be used to the turn's end, and who waits with one in hand (for the audit log) holds it meanwhile. An answer that is
 * on its way has bytes of its own: those are shared by all who get it and never overwritten, since nobody knows when the
 * last of them has left the process.
 */
export class EvictedValues {
  #values: SecretValue[] = [];
  #scheduled = false;

  add(values: Iterable<SecretValue>): void {
    for (const value of values) this.#values.push(value);
    if (this.#scheduled || this.#values.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#erase());
  }

  #erase(): void {
    const held: SecretValue[] = [];
    for (const value of this.#values) {
      if (value.held) held.push(value);
      else value.erase();
    }
    this.#values = held;
    this.#scheduled = held.length > 0;
    if (this.#scheduled) setTimeout(() => this.#erase(), HELD_AGAIN_MS).unref();
  }
}
