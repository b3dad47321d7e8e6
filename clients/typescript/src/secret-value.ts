import { timingSafeEqual } from "node:crypto";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * The bytes of a secret. Prints `[secret]` in strings, JSON and inspection; reading it is explicit.
 */
export class SecretValue {
  readonly #bytes: Uint8Array;

  /** Keeps a copy of the bytes; a string is taken as UTF-8. */
  constructor(value: Uint8Array | string) {
    this.#bytes = typeof value === "string" ? encoder.encode(value) : Uint8Array.from(value);
  }

  /** How many bytes it is. */
  get byteLength(): number {
    return this.#bytes.byteLength;
  }

  /** A fresh copy of the bytes. */
  bytes(): Uint8Array {
    return this.#bytes.slice();
  }

  /** The bytes as UTF-8 text; a TypeError when they are no UTF-8. */
  text(): string {
    return decoder.decode(this.#bytes);
  }

  /** Whether the bytes are equal, in time that depends on the lengths only. */
  equals(other: SecretValue | Uint8Array | string): boolean {
    const bytes = other instanceof SecretValue ? other.#bytes : new SecretValue(other).#bytes;
    return bytes.byteLength === this.#bytes.byteLength && timingSafeEqual(bytes, this.#bytes);
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [Symbol.toPrimitive](): string {
    return "[secret]";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[secret]";
  }
}
