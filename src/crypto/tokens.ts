import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";
import { base62, randomBase62 } from "./base62.ts";

declare const brand: unique symbol;

/** A bearer token whose shape and checksum are right; whether anybody issued it is for the store to say. */
export type Token = string & { readonly [brand]: "Token" };

/**
 * `sst_`, 256 random bits in 43 base-62 characters, and the CRC32 of all that in 6. The prefix lets scanners
 * of repositories and logs recognise a token, the checksum spares them and us a look-up for what is none.
 */
const SHAPE = /^sst_[0-9A-Za-z]{49}$/;
const CHECKED_LENGTH = 4 + 43;

/**
 * S5: what is stored is SHA-256 of the token. A slow, salted hash is for passwords, which can be guessed; of
 * 256 random bits nobody guesses one, so the thief of the table is left with inverting SHA-256. A look-up by
 * hash may tell by its time how much of some stored hash a guess shares, which helps nobody: the hash of the
 * next guess can't be steered. The final comparison is in constant time all the same.
 */
export function hashToken(token: Token): Uint8Array {
  return Buffer.from(tokenHashKey(token), "base64");
}

/** The same hash as base64, of anything that was sent as a token. */
export function tokenHashKey(text: string): string {
  return hash("sha256", text, "base64");
}

export function sameTokenHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function generateToken(): Token {
  const bits = BigInt(`0x${randomBytes(32).toString("hex")}`);
  const body = `sst_${base62(bits, 43)}`;
  return (body + checksum(body)) as Token;
}

/** Undefined for anything that can't be a token; says nothing of why. */
export function parseToken(text: string): Token | undefined {
  if (!SHAPE.test(text)) return undefined;
  const body = text.slice(0, CHECKED_LENGTH);
  return checksum(body) === text.slice(CHECKED_LENGTH) ? (text as Token) : undefined;
}

/** Names a token in logs and for revoking. Drawn apart from the token, so it tells nothing of it. */
export function generateTokenId(): string {
  return `tk_${randomBase62(12)}`;
}

function checksum(body: string): string {
  return base62(BigInt(crc32(body)), 6);
}
