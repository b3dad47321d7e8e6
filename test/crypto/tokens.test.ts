import { expect, test } from "vitest";
import { base62, randomBase62 } from "../../src/crypto/base62.ts";
import {
  generateToken,
  generateTokenId,
  hashToken,
  parseToken,
  sameTokenHash,
} from "../../src/crypto/tokens.ts";

test("a token has its prefix, 43 and 6 characters, and parses", () => {
  for (let round = 0; round < 200; round++) {
    const token = generateToken();
    expect(token).toMatch(/^sst_[0-9A-Za-z]{49}$/);
    expect(parseToken(token)).toBe(token);
  }
});

test("a token with any one character changed, dropped or added is refused", () => {
  const token = generateToken();
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === "x" ? "y" : "x";
    expect(parseToken(token.slice(0, at) + other + token.slice(at + 1))).toBeUndefined();
    expect(parseToken(token.slice(0, at) + token.slice(at + 1))).toBeUndefined();
  }
  for (const text of ["", "sst_", ` ${token}`, `${token}\n`, `${token}0`, token.toUpperCase()]) {
    expect(parseToken(text)).toBeUndefined();
  }
});

test("256 bits fit into 43 characters, whatever they are", () => {
  expect(base62(2n ** 256n - 1n, 43)).toHaveLength(43);
  expect(base62(0n, 43)).toBe("0".repeat(43));
  expect(base62(2n ** 32n - 1n, 6)).toHaveLength(6);
});

test("S5: the stored hash is SHA-256 and is compared as a whole", () => {
  const token = generateToken();
  const hash = hashToken(token);
  expect(hash).toHaveLength(32);
  expect(sameTokenHash(hash, hashToken(token))).toBe(true);
  expect(sameTokenHash(hash, hashToken(generateToken()))).toBe(false);
  expect(sameTokenHash(hash, hash.subarray(1))).toBe(false);
});

test("a token's id is drawn apart from the token", () => {
  const ids = new Set(Array.from({ length: 1000 }, generateTokenId));
  expect(ids.size).toBe(1000);
  for (const id of ids) expect(id).toMatch(/^tk_[0-9A-Za-z]{12}$/);
});

test("characters of random text are drawn evenly", () => {
  const counts = new Map<string, number>();
  for (const character of randomBase62(62_000)) counts.set(character, (counts.get(character) ?? 0) + 1);
  expect(counts.size).toBe(62);
  // Mean 1,000, deviation 31: ten deviations either way never happen by chance.
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(310);
});
