import type { SealedPlace } from "../domain/sealed-record.ts";

/**
 * Fields joined so that no two lists of fields give the same bytes: each is preceded by its length in four
 * bytes, so "ab" + "c" and "a" + "bc" differ. Text must be ASCII.
 */
function joinFields(fields: readonly (string | Uint8Array)[]): Uint8Array {
  let size = 0;
  for (const field of fields) size += 4 + field.length;
  const joined = Buffer.alloc(size);
  let at = 0;
  for (const field of fields) {
    at = joined.writeUInt32BE(field.length, at);
    if (typeof field === "string") joined.write(field, at, "latin1");
    else joined.set(field, at);
    at += field.length;
  }
  return joined;
}

function slotBytes(slot: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(slot);
  return bytes;
}

/**
 * What a sealed value is bound to (S2). Neither epoch nor revision: the one changes on restore, the other is
 * known only inside the writer's transaction.
 */
export function valueData(place: SealedPlace): Uint8Array {
  return joinFields(["slots-value-v1", place.storeId, place.name, slotBytes(place.slot), place.versionId]);
}

/** What a wrapped data key is bound to: its value's place and the master key, so only it changes on a rewrap. */
export function wrappedKeyData(place: SealedPlace, keyId: string): Uint8Array {
  return joinFields([
    "slots-data-key-v1",
    place.storeId,
    place.name,
    slotBytes(place.slot),
    place.versionId,
    keyId,
  ]);
}

export function storeKeyData(storeId: string, purpose: string, keyId: string): Uint8Array {
  return joinFields(["slots-store-key-v1", storeId, purpose, keyId]);
}

export function keyCheckData(storeId: string, keyId: string): Uint8Array {
  return joinFields(["slots-key-check-v1", storeId, keyId]);
}
