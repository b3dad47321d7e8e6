import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
} from "node:crypto";

export const XAES_KEY_BYTES = 32;
export const XAES_NONCE_BYTES = 24;
const TAG_BYTES = 16;
const GCM_NONCE_BYTES = 12;
const BLOCK_BYTES = 16;

/**
 * XAES-256-GCM (C2SP): AES-256-GCM under a key derived from a long-lived key and the first half of a 192-bit
 * nonce, with the second half as GCM's own nonce.
 *
 * Why not AES-256-GCM itself: with random 96-bit nonces one key may seal 2^32 messages before a repeated
 * nonce, which gives away its authentication, is as likely as NIST SP 800-38D allows (2^-32). A master key
 * lives for years and seals one data key for each version of each slot, so that is a limit somebody reaches.
 * Random 192-bit nonces keep the odds below 2^-32 for 2^80 messages under one key. It is made of approved
 * parts (the derivation is SP 800-108 in counter mode over CMAC), is published with test vectors, and costs
 * one AES-ECB call of two blocks.
 */
export class Xaes256Gcm {
  /** ECB of the long-lived key. It has no state between blocks, so one cipher serves for all calls. */
  readonly #blocks: Cipheriv;
  /** The subkey that CMAC XORs into a full last block. */
  readonly #subkey: Uint8Array;

  constructor(key: Uint8Array) {
    if (key.length !== XAES_KEY_BYTES) throw new RangeError(`a key has ${XAES_KEY_BYTES} bytes`);
    this.#blocks = createCipheriv("aes-256-ecb", createSecretKey(key), null).setAutoPadding(false);
    this.#subkey = doubled(this.#blocks.update(new Uint8Array(BLOCK_BYTES)));
  }

  /** Ciphertext and 16 bytes of tag. A nonce of 24 random bytes must be new for each call. */
  seal(nonce: Uint8Array, plaintext: Uint8Array, additionalData: Uint8Array): Uint8Array {
    const cipher = createCipheriv("aes-256-gcm", this.#derive(nonce), nonce.subarray(GCM_NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    cipher.setAAD(additionalData);
    const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
    sealed.set(cipher.update(plaintext));
    cipher.final();
    sealed.set(cipher.getAuthTag(), plaintext.length);
    return sealed;
  }

  /** The plaintext, or undefined when the key, the nonce, the data or a single bit is not what was sealed. */
  open(nonce: Uint8Array, sealed: Uint8Array, additionalData: Uint8Array): Uint8Array | undefined {
    if (nonce.length !== XAES_NONCE_BYTES || sealed.length < TAG_BYTES) return undefined;
    const end = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv("aes-256-gcm", this.#derive(nonce), nonce.subarray(GCM_NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(additionalData).setAuthTag(sealed.subarray(end));
    const plaintext = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
      return plaintext;
    } catch {
      plaintext.fill(0);
      return undefined;
    }
  }

  #derive(nonce: Uint8Array): KeyObject {
    if (nonce.length !== XAES_NONCE_BYTES) throw new RangeError(`a nonce has ${XAES_NONCE_BYTES} bytes`);
    const blocks = new Uint8Array(2 * BLOCK_BYTES);
    for (const [index, at] of [0, BLOCK_BYTES].entries()) {
      blocks.set([0, index + 1, 0x58, 0], at);
      blocks.set(nonce.subarray(0, GCM_NONCE_BYTES), at + 4);
      for (let byte = 0; byte < BLOCK_BYTES; byte++) blocks[at + byte]! ^= this.#subkey[byte]!;
    }
    const derived = this.#blocks.update(blocks);
    // A KeyObject: Node checks raw key bytes anew at each use, which is four times as slow. Its own copy is
    // cleansed when it is collected.
    const key = createSecretKey(derived);
    derived.fill(0);
    return key;
  }
}

/** The block times x in GF(2^128), as CMAC defines it. */
function doubled(block: Uint8Array): Uint8Array {
  const result = new Uint8Array(BLOCK_BYTES);
  let carry = 0;
  for (let byte = BLOCK_BYTES - 1; byte >= 0; byte--) {
    result[byte] = (block[byte]! << 1) | carry;
    carry = block[byte]! >>> 7;
  }
  // Whether the top bit was set is part of the key: no branch on it.
  result[BLOCK_BYTES - 1]! ^= carry * 0x87;
  return result;
}
