import { parseToken, tokenHashKey } from "../crypto/tokens.ts";
import type { Principal } from "../domain/access.ts";
import { SlotsError } from "../domain/errors.ts";
import type { Head, TokenRecord } from "../storage/records.ts";
import type { Storage } from "../storage/storage.ts";
import type { Identity } from "./call.ts";

/** What a caller brought to prove who it is. */
export interface Credentials {
  /** What follows `Bearer ` in the authorization header. */
  readonly bearer: string | undefined;
  /** What a verified client certificate maps to. */
  readonly certificate: { readonly principal: Principal; readonly isRevoked: () => boolean } | undefined;
}

/** Checks a token that is not one of ours; answers at once when it has seen the token before. */
export interface BearerVerifier {
  verify(token: string): Principal | undefined | Promise<Principal | undefined>;
}

export interface AuthenticatorOptions {
  readonly storage: Storage;
  readonly now: () => number;
  readonly jwt?: BearerVerifier;
}

interface CachedToken {
  readonly accessRevision: bigint;
  readonly epoch: string;
  readonly token: TokenRecord;
  readonly identity: Identity;
}

const CACHED_TOKENS = 10_000;

/**
 * Turns credentials into an identity, or throws UNAUTHENTICATED with one message for every way to fail, so that
 * an answer tells nothing about which tokens exist.
 *
 * Safe: a token is looked up by its SHA-256, so how long the look-up takes tells nothing of a stored token (one
 * would need the preimage to steer it); a cached answer counts only at the access revision it was made at, which
 * every call compares with the store's, so a revocation holds from its commit on (W12).
 */
export class Authenticator {
  readonly #storage: Storage;
  readonly #now: () => number;
  readonly #jwt: BearerVerifier | undefined;
  readonly #cache = new Map<string, CachedToken>();

  constructor(options: AuthenticatorOptions) {
    this.#storage = options.storage;
    this.#now = options.now;
    this.#jwt = options.jwt;
  }

  authenticate(head: Head, credentials: Credentials): Identity | Promise<Identity> {
    const { bearer, certificate } = credentials;
    if (bearer === undefined) {
      if (certificate === undefined || certificate.isRevoked()) throw unauthenticated();
      return {
        principal: certificate.principal,
        proof: { kind: "certificate", isRevoked: certificate.isRevoked },
      };
    }
    // Two identities on one call would leave open whose rights count.
    if (certificate !== undefined) throw unauthenticated();
    if (bearer.startsWith("sst_")) return this.#byToken(head, bearer);
    return this.#byJwt(bearer);
  }

  /** Throws UNAUTHENTICATED when what proved the identity has ended by now. */
  recheck(head: Head, identity: Identity): void {
    this.requireCurrent(identity);
    const { proof } = identity;
    if (proof.kind === "token") this.#lookUp(head, proof.hashKey, () => proof.hash);
  }

  /** The part of `recheck` that does not ask the store: enough for a head that has the rights of one that passed. */
  requireCurrent({ principal, proof }: Identity): void {
    if (principal.expireTime !== undefined && principal.expireTime <= this.#now()) throw unauthenticated();
    if (proof.kind === "certificate" && proof.isRevoked()) throw unauthenticated();
  }

  #byToken(head: Head, text: string): Identity {
    const hashKey = tokenHashKey(text);
    // What was accepted before is found by its hash alone; anything else must have a token's shape first.
    if (!this.#cache.has(hashKey) && parseToken(text) === undefined) throw unauthenticated();
    return this.#lookUp(head, hashKey, () => Buffer.from(hashKey, "base64"));
  }

  #lookUp(head: Head, hashKey: string, hashOf: () => Uint8Array): Identity {
    const cached = this.#cache.get(hashKey);
    if (cached !== undefined && cached.accessRevision >= head.accessRevision && cached.epoch === head.epoch) {
      if (cached.token.expireTime !== undefined && cached.token.expireTime <= this.#now())
        throw unauthenticated();
      return cached.identity;
    }
    const read = this.#storage.findToken(hashOf());
    const { token } = read;
    if (token === undefined || token.revokeTime !== undefined) {
      this.#cache.delete(hashKey);
      throw unauthenticated();
    }
    if (token.expireTime !== undefined && token.expireTime <= this.#now()) throw unauthenticated();
    const identity: Identity = {
      principal: {
        name: token.principal,
        groups: token.groups,
        method: "token",
        proofId: token.tokenId,
        expireTime: token.expireTime,
      },
      proof: { kind: "token", hash: token.hash, hashKey },
    };
    if (this.#cache.size >= CACHED_TOKENS) this.#cache.clear();
    const { accessRevision, epoch } = read.head;
    this.#cache.set(hashKey, { accessRevision, epoch, token, identity });
    return identity;
  }

  #byJwt(text: string): Identity | Promise<Identity> {
    const verified = this.#jwt?.verify(text);
    return verified instanceof Promise ? verified.then(jwtIdentity) : jwtIdentity(verified);
  }
}

function jwtIdentity(principal: Principal | undefined): Identity {
  if (principal === undefined) throw unauthenticated();
  return { principal, proof: { kind: "jwt" } };
}

/** One for all: it is the same in every way, and to make one takes as long as to look for a token. */
const UNAUTHENTICATED = new SlotsError(
  "UNAUTHENTICATED",
  "no valid identity: send 'authorization: Bearer <token>' with a token of this server that has not ended",
);

export function unauthenticated(): SlotsError {
  return UNAUTHENTICATED;
}
