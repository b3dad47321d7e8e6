import { createHmac, createSecretKey, type KeyObject } from "node:crypto";

/**
 * Digests that tell whether two requests were the same, without keeping either. Keyed by the store's key
 * `request-digest`: a plain hash of a request would let a reader of the database try out short values.
 */
export class RequestDigester {
  readonly #key: KeyObject;

  /** 32 bytes; a copy is taken. */
  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  /** HMAC-SHA256 over the parts, each preceded by its length, so no two lists of parts run together. */
  digest(parts: readonly (string | Uint8Array)[]): Uint8Array {
    const hmac = createHmac("sha256", this.#key);
    const length = Buffer.alloc(4);
    for (const part of parts) {
      const bytes = typeof part === "string" ? Buffer.from(part, "utf8") : part;
      length.writeUInt32BE(bytes.length);
      hmac.update(length).update(bytes);
    }
    return hmac.digest();
  }
}
