import { createHash, timingSafeEqual } from "node:crypto";
import { SlotsError } from "../domain/errors.ts";
import { MASTER_KEY_BYTES, MasterKey } from "./master-key.ts";

/**
 * A master key as text: `slots-master-key-v1:` and base64url of the key (32 bytes) and its checksum (4), so
 * that a key cut short or mistyped is told as such and not as "wrong".
 */
const PREFIX = "slots-master-key-v1:";
const CHECKSUM_BYTES = 4;
const ENCODED = /^[A-Za-z0-9_-]{48}$/;

export function formatMasterKey(key: MasterKey): string {
  const bytes = key.reveal();
  const encoded = Buffer.concat([bytes, checksum(bytes)]);
  const text = PREFIX + encoded.toString("base64url");
  encoded.fill(0);
  return text;
}

/**
 * The keys in a text: one a line, or several on one line apart by blanks; `#` begins a comment. At least one.
 * `source` says in errors where the text is from. No error repeats any of the text.
 */
export function parseMasterKeys(text: string, source: string): readonly MasterKey[] {
  const keys = text.split("\n").flatMap((line, index) =>
    line
      .replace(/#.*/s, "")
      .split(/\s+/)
      .filter((word) => word !== "")
      .map((word) => parseMasterKey(word, `${source}, line ${index + 1}`)),
  );
  if (keys.length === 0) {
    throw new SlotsError("KEY_NOT_LOADED", `${source} holds no master key (a line '${PREFIX}…')`);
  }
  return keys;
}

function parseMasterKey(word: string, place: string): MasterKey {
  if (!word.startsWith(PREFIX)) {
    throw new SlotsError("KEY_NOT_LOADED", `${place}: a master key begins with '${PREFIX}'`);
  }
  const encoded = word.slice(PREFIX.length);
  const bytes = Buffer.from(encoded, "base64url");
  const key = bytes.subarray(0, MASTER_KEY_BYTES);
  const sum = bytes.subarray(MASTER_KEY_BYTES);
  if (!ENCODED.test(encoded) || !timingSafeEqual(sum, checksum(key))) {
    throw new SlotsError(
      "KEY_NOT_LOADED",
      `${place}: the master key is cut or mistyped (its checksum does not match); copy the whole line again`,
    );
  }
  const parsed = new MasterKey(key);
  bytes.fill(0);
  return parsed;
}

function checksum(key: Uint8Array): Uint8Array {
  return createHash("sha256")
    .update("slots-master-key-checksum-v1\0")
    .update(key)
    .digest()
    .subarray(0, CHECKSUM_BYTES);
}
