/** HPACK's Huffman codes (RFC 7541, appendix B) of the characters that are looked for. */
const CODES: Readonly<Record<string, string>> = {
  ...{ g: "100110", r: "101100", p: "101011", c: "00100", "-": "010110", s: "01000", t: "01001", a: "00011" },
  ...{ u: "101101", "0": "00000", "1": "00001", "2": "00010", "3": "011001", "4": "011010", "5": "011011" },
  ...{ "6": "011100", "7": "011101", "8": "011110", "9": "011111" },
};

function huffman(text: string): Buffer {
  const bits = [...text].map((character) => CODES[character]).join("");
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Buffer.from((padded.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

const NAME = Buffer.from("grpc-status");
const HUFFMAN_NAME = huffman("grpc-status");
const STATUS_OF = new Map(
  Array.from({ length: 17 }, (_, code) => [huffman(`${code}`).toString("latin1"), code] as const),
);

/**
 * The value of `grpc-status` in a block of headers, undefined when it has none. It reads only as much of HPACK as
 * that takes: the other side must have been told to keep no table (SETTINGS_HEADER_TABLE_SIZE = 0).
 */
export function statusOf(block: Buffer): number | undefined {
  let at = 0;
  const integer = (bits: number): number => {
    const mask = (1 << bits) - 1;
    let value = (block[at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; at < block.length; shift += 7) {
      const byte = block[at++] ?? 0;
      value += (byte & 127) << shift;
      if (byte < 128) break;
    }
    return value;
  };
  const string = (): readonly [bytes: Buffer, huffman: boolean] => {
    const coded = ((block[at] ?? 0) & 0x80) !== 0;
    const length = integer(7);
    at += length;
    return [block.subarray(at - length, at), coded];
  };
  while (at < block.length) {
    const first = block[at] ?? 0;
    if (first >= 0x80) {
      integer(7);
      continue;
    }
    if ((first & 0xe0) === 0x20) {
      integer(5);
      continue;
    }
    const named = integer((first & 0x40) !== 0 ? 6 : 4) !== 0;
    const [name, nameCoded] = named ? [] : string();
    const [value, coded] = string();
    if (name === undefined || !name.equals(nameCoded ? HUFFMAN_NAME : NAME)) continue;
    return coded ? STATUS_OF.get(value.toString("latin1")) : Number(value.toString("latin1"));
  }
  return undefined;
}
