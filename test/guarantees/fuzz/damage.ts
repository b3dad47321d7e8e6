import type { Random } from "../support/random.ts";

/** Bytes that begin, end or overflow something in protobuf and in most other formats. */
const TELLING = [0x00, 0x01, 0x0a, 0x0b, 0x0c, 0x12, 0x7f, 0x80, 0xff];
const OVERLONG = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);

/** One edit. `other` is another input of the same kind: two that are joined are both, for protobuf. */
export function damage(bytes: Buffer, other: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const start = bytes.subarray(0, at);
  const rest = bytes.subarray(at);
  switch (random.below(9)) {
    case 0:
      return start;
    case 1:
      return Buffer.concat([start, random.bytes(1 + random.below(8)), rest]);
    case 2:
      return Buffer.concat([start, rest.subarray(1 + random.below(3))]);
    case 3:
      return overwritten(bytes, at, (byte) => byte ^ (1 << random.below(8)));
    case 4:
      return overwritten(bytes, at, () => random.pick(TELLING));
    case 5:
      return overwritten(bytes, at, (byte) => byte + (random.chance(0.5) ? 1 : -1));
    case 6:
      return Buffer.concat([bytes, other]);
    case 7:
      return Buffer.concat([start, other.subarray(random.below(other.length + 1))]);
    default:
      return Buffer.concat([start, OVERLONG, rest]);
  }
}

function overwritten(bytes: Buffer, at: number, change: (byte: number) => number): Buffer {
  if (at >= bytes.length) return bytes;
  const copy = Buffer.from(bytes);
  copy[at] = change(bytes[at] ?? 0) & 0xff;
  return copy;
}
