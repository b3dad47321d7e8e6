const FIRST_BYTES = 4096;

/**
 * Pieces copied into one buffer that doubles as it fills: kept as they came, pieces of a byte each would cost hundreds of
 * times their length, and hold on to all that was read from the socket with them.
 */
export class GatheredBytes {
  #buffer: Buffer;
  #length = 0;

  constructor(pieces: readonly Buffer[]) {
    this.#buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
    for (const piece of pieces) this.append(piece);
  }

  /** Bytes of memory. */
  get size(): number {
    return this.#buffer.length;
  }

  append(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(length)));
      larger.set(this.bytes());
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = length;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
