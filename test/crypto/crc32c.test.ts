import { Crc32c } from "@aws-crypto/crc32c";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "../../src/crypto/crc32c.ts";

test("the vectors of RFC 3720, appendix B.4", () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => 31 - index))).toBe(0x113fdb5c);
  const readCommand = Buffer.from(
    "01c00000000000000000000000000000140000000000040000000014000000182800000000000000" + "0200000000000000",
    "hex",
  );
  expect(crc32c(readCommand)).toBe(0xd9963a56);
});

test("the check value, and nothing", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array())).toBe(0);
});

test("the same as another implementation, at every length and offset", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 8 }), (bytes, skip) => {
      const part = bytes.subarray(Math.min(skip, bytes.length));
      expect(crc32c(part)).toBe(new Crc32c().update(part).digest());
    }),
  );
});
