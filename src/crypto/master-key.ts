import { createHash, randomBytes } from "node:crypto";
import { XAES_KEY_BYTES } from "./xaes-256-gcm.ts";

export const MASTER_KEY_BYTES = XAES_KEY_BYTES;

/** A key that wraps the store's other keys. Prints as its public id. */
export class MasterKey {
  /**
   * Names the key in the store, in logs and in the seal: `mk_` and 20 hex digits. Derived from the bytes by
   * SHA-256, so one key has one id everywhere and the id tells nothing of a key of 256 random bits.
   */
  readonly id: string;
  readonly #bytes: Uint8Array;

  /** Takes a copy of exactly 32 bytes. */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== MASTER_KEY_BYTES) throw new RangeError(`a master key has ${MASTER_KEY_BYTES} bytes`);
    this.#bytes = Uint8Array.from(bytes);
    const digest = createHash("sha256").update("slots-master-key-id-v1\0").update(this.#bytes).digest("hex");
    this.id = `mk_${digest.slice(0, 20)}`;
  }

  static generate(): MasterKey {
    const bytes = randomBytes(MASTER_KEY_BYTES);
    const key = new MasterKey(bytes);
    bytes.fill(0);
    return key;
  }

  /** The bytes themselves, not a copy: callers must not write to them. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  toString(): string {
    return `[master key ${this.id}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}
