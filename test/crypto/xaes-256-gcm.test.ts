import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Xaes256Gcm } from "../../src/crypto/xaes-256-gcm.ts";

const NONCE = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWX");
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("hex");

/** From https://c2sp.org/XAES-256-GCM: the subkey's top bit is clear in the one and set in the other. */
const VECTORS = [
  { key: 0x01, data: "", sealed: "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271" },
  {
    key: 0x03,
    data: "c2sp.org/XAES-256-GCM",
    sealed: "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
  },
];

test.each(VECTORS)("the vector of C2SP with key byte $key", ({ key, data, sealed }) => {
  const xaes = new Xaes256Gcm(new Uint8Array(32).fill(key));
  const plaintext = Buffer.from("XAES-256-GCM");
  expect(hex(xaes.seal(NONCE, plaintext, Buffer.from(data)))).toBe(sealed);
  expect(xaes.open(NONCE, Buffer.from(sealed, "hex"), Buffer.from(data))).toEqual(plaintext);
});

test("C2SP's accumulated vector: 10,000 keys, nonces, plaintexts and additional data", () => {
  // The source stream is SHAKE128 of nothing; the sum is SHAKE128 of every ciphertext.
  const source = shakeStream(10_000 * (32 + 24 + 2 * 256));
  const sum = createHash("shake128", { outputLength: 32 });
  for (let round = 0; round < 10_000; round++) {
    const key = source(32);
    const nonce = source(24);
    const plaintext = source(source(1)[0]!);
    const data = source(source(1)[0]!);
    const xaes = new Xaes256Gcm(key);
    const sealed = xaes.seal(nonce, plaintext, data);
    sum.update(sealed);
    if (round % 100 === 0) expect(hex(xaes.open(nonce, sealed, data))).toBe(hex(plaintext));
  }
  expect(sum.digest("hex")).toBe("e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
});

test("nothing opens with a bit flipped anywhere, or with another nonce, key or additional data", () => {
  const xaes = new Xaes256Gcm(new Uint8Array(32).fill(7));
  const data = Buffer.from("data");
  const sealed = xaes.seal(NONCE, Buffer.from("value"), data);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const flipped = Uint8Array.from(sealed);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(xaes.open(NONCE, flipped, data)).toBeUndefined();
  }
  for (let bit = 0; bit < NONCE.length * 8; bit++) {
    const nonce = Uint8Array.from(NONCE);
    nonce[bit >> 3]! ^= 1 << (bit & 7);
    expect(xaes.open(nonce, sealed, data)).toBeUndefined();
  }
  expect(xaes.open(NONCE, sealed, Buffer.from("date"))).toBeUndefined();
  expect(new Xaes256Gcm(new Uint8Array(32).fill(8)).open(NONCE, sealed, data)).toBeUndefined();
  for (let length = 0; length < sealed.length; length++) {
    expect(xaes.open(NONCE, sealed.subarray(0, length), data)).toBeUndefined();
  }
});

function shakeStream(size: number): (length: number) => Uint8Array {
  const bytes = createHash("shake128", { outputLength: size }).digest();
  let at = 0;
  return (length) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
}
