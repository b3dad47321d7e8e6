/** The key under which Node's `util.inspect` looks for an object's own way to print itself. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/**
 * A plaintext value that can't be printed by accident: string conversion, JSON and inspection all say
 * `[secret]`. The bytes are reached only through `reveal()`, so every disclosure can be found by that word.
 */
export class SecretValue {
  readonly #bytes: Uint8Array;
  #holders = 0;
  #erased = false;
  /** CRC32C (Castagnoli) of the bytes. */
  readonly crc32c: number;

  constructor(bytes: Uint8Array, crc32c: number) {
    this.#bytes = bytes;
    this.crc32c = crc32c;
  }

  /** The bytes themselves, not a copy: callers must not write to them. Throws once they are erased. */
  reveal(): Uint8Array {
    if (this.#erased) throw new Error("a value was used after it was erased");
    return this.#bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  /** Overwrites the bytes. Nobody must hold them. */
  erase(): void {
    this.#erased = true;
    this.#bytes.fill(0);
  }

  /** Whoever waits between getting a value and using it holds it until then; each `hold` has its `release`. */
  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
  }

  get erased(): boolean {
    return this.#erased;
  }

  get held(): boolean {
    return this.#holders > 0;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [INSPECT](): string {
    return "[secret]";
  }
}
