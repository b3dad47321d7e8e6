import { createCipheriv, createDecipheriv, createSecretKey } from "node:crypto";
import { SecretValue } from "../domain/secret-value.ts";
import { XAES_NONCE_BYTES, type Xaes256Gcm } from "./xaes-256-gcm.ts";

/**
 * How sealed things lie in bytes. The first byte names the format; an unknown one does not open.
 *
 *   ciphertext   1 | AES-256-GCM(data key, nonce 0, crc32c big endian (4) | value) | tag (16)
 *   wrapped key  1 | nonce (24) | XAES-256-GCM(master key, nonce, key (32)) | tag (16)
 */
const FORMAT = 1;
const TAG_BYTES = 16;
const CRC_BYTES = 4;
const WRAP_HEADER_BYTES = 1 + XAES_NONCE_BYTES;

/**
 * A data key seals one value, once, and is drawn anew for the next: a nonce never meets its key a second
 * time, so it carries nothing and is left at zero.
 */
const NONCE = new Uint8Array(12);

/** The crc32c lies inside the seal: outside, it would tell who reads the file the content of a short value. */
export function sealValue(dataKey: Uint8Array, value: SecretValue, additionalData: Uint8Array): Uint8Array {
  const bytes = value.reveal();
  const crc = Buffer.alloc(CRC_BYTES);
  crc.writeUInt32BE(value.crc32c);
  const cipher = createCipheriv("aes-256-gcm", createSecretKey(dataKey), NONCE, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData);
  const sealed = new Uint8Array(1 + CRC_BYTES + bytes.length + TAG_BYTES);
  sealed[0] = FORMAT;
  sealed.set(cipher.update(crc), 1);
  sealed.set(cipher.update(bytes), 1 + CRC_BYTES);
  cipher.final();
  sealed.set(cipher.getAuthTag(), 1 + CRC_BYTES + bytes.length);
  return sealed;
}

/**
 * Undefined when it does not open. The crc32c comes back as it was sealed and is not computed again: the tag
 * vouches for both, and whoever gets the value checks it end to end.
 */
export function openValue(
  dataKey: Uint8Array,
  ciphertext: Uint8Array,
  additionalData: Uint8Array,
): SecretValue | undefined {
  const end = ciphertext.length - TAG_BYTES;
  if (ciphertext[0] !== FORMAT || end < 1 + CRC_BYTES) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", createSecretKey(dataKey), NONCE, {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(additionalData).setAuthTag(ciphertext.subarray(end));
  const opened = decipher.update(ciphertext.subarray(1, end));
  try {
    decipher.final();
  } catch {
    opened.fill(0);
    return undefined;
  }
  return new SecretValue(opened.subarray(CRC_BYTES), opened.readUInt32BE(0));
}

export function wrapKey(
  master: Xaes256Gcm,
  nonce: Uint8Array,
  key: Uint8Array,
  additionalData: Uint8Array,
): Uint8Array {
  const sealed = master.seal(nonce, key, additionalData);
  const wrapped = new Uint8Array(WRAP_HEADER_BYTES + sealed.length);
  wrapped[0] = FORMAT;
  wrapped.set(nonce, 1);
  wrapped.set(sealed, WRAP_HEADER_BYTES);
  return wrapped;
}

/** Undefined when it does not open. */
export function unwrapKey(
  master: Xaes256Gcm,
  wrapped: Uint8Array,
  additionalData: Uint8Array,
): Uint8Array | undefined {
  if (wrapped[0] !== FORMAT || wrapped.length < WRAP_HEADER_BYTES) return undefined;
  return master.open(
    wrapped.subarray(1, WRAP_HEADER_BYTES),
    wrapped.subarray(WRAP_HEADER_BYTES),
    additionalData,
  );
}
