/** One element of a DER encoding: its tag, its content, and all of its bytes. */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
}

export const TAG = {
  integer: 0x02,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** Context-specific and constructed, number 0. */
  explicit0: 0xa0,
} as const;

/**
 * Reads the elements that follow one another in `bytes`, in order; a generator, so that a list of a million
 * revoked certificates costs no memory. Throws on anything that is not well formed.
 */
export function* derElements(bytes: Buffer): Generator<DerElement> {
  let at = 0;
  while (at < bytes.length) {
    const tag = byteAt(bytes, at);
    if ((tag & 0x1f) === 0x1f) throw new Error("DER: tags of several bytes are not expected here");
    let length = byteAt(bytes, at + 1);
    let start = at + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) throw new Error("DER: bad length");
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + byteAt(bytes, start + index);
      start += count;
    }
    const end = start + length;
    if (end > bytes.length) throw new Error("DER: cut short");
    yield { tag, content: bytes.subarray(start, end) };
    at = end;
  }
}

/** The elements inside one that must be a SEQUENCE. */
export function derSequence(element: DerElement | undefined): Generator<DerElement> {
  if (element?.tag !== TAG.sequence) throw new Error("DER: a sequence is missing");
  return derElements(element.content);
}

/** The one element that `bytes` hold. */
export function derRoot(bytes: Buffer): DerElement {
  const [root, more] = derElements(bytes);
  if (root === undefined || more !== undefined) throw new Error("DER: exactly one element was expected");
  return root;
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new Error("DER: cut short");
  return byte;
}
