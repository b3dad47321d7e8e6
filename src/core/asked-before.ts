const REMEMBERED = 8192;

/** Tells what is asked for a second time among the last some thousand from what is asked for once. Bounded. */
export class AskedBefore {
  #recent = new Set<string>();
  #earlier = new Set<string>();

  /** Whether the key was here before; from now on it was. */
  check(key: string): boolean {
    if (this.#recent.has(key) || this.#earlier.has(key)) return true;
    if (this.#recent.size >= REMEMBERED) {
      this.#earlier = this.#recent;
      this.#recent = new Set();
    }
    this.#recent.add(key);
    return false;
  }
}
