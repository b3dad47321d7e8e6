import { hash } from "node:crypto";
import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Principal } from "../../domain/access.ts";
import { claimAt, groupsFrom, principalName } from "./claims.ts";
import { checkIssuers, DEFAULT_PREFIX, JWT_ALGORITHMS, type JwtIssuer } from "./issuer.ts";
import { type KeySource, keysFromFile, keysFromUrl, type Report } from "./key-source.ts";

export interface JwtVerifierOptions {
  readonly issuers: readonly JwtIssuer[];
  /** One line for the operator's log. Holds addresses and paths of keys; never a token or a claim. */
  readonly report: Report;
  /** Unix milliseconds. */
  readonly now?: () => number;
  /** How far an issuer's clock may be ahead, for `nbf` and `iat`; `exp` is taken as it is. Seconds. */
  readonly clockToleranceSeconds?: number;
  /** Verified tokens remembered. */
  readonly maxCached?: number;
}

interface Issuer {
  readonly settings: JwtIssuer;
  readonly keys: KeySource;
  readonly prefix: string;
}

interface Verified {
  readonly principal: Principal;
  readonly until: number;
  readonly keys: KeySource;
  readonly version: number;
}

const CLOCK_TOLERANCE_SECONDS = 30;
const MAX_CACHED = 10_000;
/** Larger ones don't fit in the headers that gRPC takes. */
const MAX_TOKEN = 16 * 1024;
const SHAPE = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** Tokens of other types (logout, DPoP proofs, security events) are signed by the same keys for other ends. */
const TYPES: ReadonlySet<unknown> = new Set([undefined, "jwt", "at+jwt"]);
const PUBLIC_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** Tells a JWT from a token of this server: three parts with dots in between. */
export function looksLikeJwt(token: string): boolean {
  return token.length <= MAX_TOKEN && SHAPE.test(token);
}

/**
 * Verifies JSON Web Tokens of the issuers in the settings.
 *
 * A token that was verified is remembered under its SHA-256 until it ends or its issuer's keys change, so that later
 * calls with it cost one hash and are answered at once, without a promise.
 */
export class JwtVerifier {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #now: () => number;
  readonly #tolerance: number;
  readonly #maxCached: number;
  /** The least recently used first. */
  readonly #cache = new Map<string, Verified>();
  /** A burst of calls with one new token is one verification. */
  readonly #running = new Map<string, Promise<Principal | undefined>>();

  /** Throws on wrong settings and on a file of keys that can't be used. */
  constructor(options: JwtVerifierOptions) {
    checkIssuers(options.issuers);
    this.#now = options.now ?? Date.now;
    this.#tolerance = options.clockToleranceSeconds ?? CLOCK_TOLERANCE_SECONDS;
    this.#maxCached = options.maxCached ?? MAX_CACHED;
    const issuers = new Map<string, Issuer>();
    this.#issuers = issuers;
    try {
      for (const settings of options.issuers) {
        const keys =
          "file" in settings.jwks
            ? keysFromFile({ ...settings.jwks, report: options.report })
            : keysFromUrl({ ...settings.jwks, report: options.report, now: this.#now });
        issuers.set(settings.issuer, { settings, keys, prefix: settings.principalPrefix ?? DEFAULT_PREFIX });
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The principal of a good token, undefined for any other; a promise unless the token is known. Never rejects. */
  verify(token: string): Principal | undefined | Promise<Principal | undefined> {
    if (!looksLikeJwt(token)) return undefined;
    const digest = hash("sha256", token, "base64url");
    const known = this.#recall(digest);
    if (known !== undefined) return known;
    let running = this.#running.get(digest);
    if (running === undefined) {
      running = this.#verify(token, digest).finally(() => this.#running.delete(digest));
      this.#running.set(digest, running);
    }
    return running;
  }

  /** Reads all keys again. */
  async reload(): Promise<void> {
    await Promise.all(Array.from(this.#issuers.values(), (issuer) => issuer.keys.reload()));
  }

  close(): void {
    for (const issuer of this.#issuers.values()) issuer.keys.close();
  }

  #recall(digest: string): Principal | undefined {
    const known = this.#cache.get(digest);
    if (known === undefined) return undefined;
    this.#cache.delete(digest);
    if (known.version !== known.keys.version || known.until <= this.#now()) return undefined;
    this.#cache.set(digest, known);
    return known.principal;
  }

  #remember(digest: string, verified: Verified): void {
    this.#cache.set(digest, verified);
    if (this.#cache.size <= this.#maxCached) return;
    for (const oldest of this.#cache.keys()) {
      this.#cache.delete(oldest);
      return;
    }
  }

  async #verify(token: string, digest: string): Promise<Principal | undefined> {
    try {
      // Read before it is verified, only to learn whose keys and rules to verify it with.
      const issuer = this.#issuers.get(String(decodeJwt(token).iss));
      if (issuer === undefined) return undefined;
      const { keys } = issuer;
      if (keys.keys === undefined) await keys.refresh();
      // Before the keys are used: if they change meanwhile, the result is not remembered as theirs.
      let version = keys.version;
      let payload = await this.#payload(token, issuer);
      if (payload === "unknown key") {
        await keys.refresh();
        if (keys.version === version) return undefined;
        version = keys.version;
        payload = await this.#payload(token, issuer);
      }
      if (payload === undefined || payload === "unknown key") return undefined;
      const principal = this.#principal(payload, issuer, digest);
      if (principal?.expireTime === undefined) return undefined;
      this.#remember(digest, { principal, until: principal.expireTime, keys, version });
      return principal;
    } catch {
      // Whatever is wrong with a token, its bearer learns only that it is not good, and no log quotes it.
      return undefined;
    }
  }

  /** The claims once signature, issuer, audience and `nbf` are right. */
  async #payload(token: string, issuer: Issuer): Promise<JWTPayload | "unknown key" | undefined> {
    const keys = issuer.keys.keys;
    if (keys === undefined) return undefined;
    try {
      return await this.#signed(token, keys, issuer.settings);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return "unknown key";
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return undefined;
      // A token without `kid`: any key of its issuer that fits may have signed it.
      for await (const key of error) {
        try {
          return await this.#signed(token, () => key, issuer.settings);
        } catch (failure) {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) return undefined;
        }
      }
      return undefined;
    }
  }

  async #signed(token: string, key: JWTVerifyGetKey, settings: JwtIssuer): Promise<JWTPayload | undefined> {
    const { payload, protectedHeader } = await jwtVerify(token, key, {
      algorithms: [...(settings.algorithms ?? JWT_ALGORITHMS)],
      issuer: settings.issuer,
      audience: [...settings.audiences],
      requiredClaims: ["exp", "sub"],
      clockTolerance: this.#tolerance,
      currentDate: new Date(this.#now()),
    });
    const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, "");
    return TYPES.has(type) ? payload : undefined;
  }

  #principal(payload: JWTPayload, issuer: Issuer, digest: string): Principal | undefined {
    const now = this.#now();
    const { exp, iat, jti } = payload;
    const expireTime = Math.floor(Number(exp) * 1000);
    // Jose lets the tolerance lengthen a token's life too; what has ended has ended.
    if (!Number.isSafeInteger(expireTime) || expireTime <= now) return undefined;
    if (iat !== undefined && iat * 1000 > now + this.#tolerance * 1000) return undefined;
    // Bound to a key that its holder must prove to have (RFC 7800): that is no bearer token.
    if (payload.cnf !== undefined) return undefined;
    const name = principalName(issuer.prefix, payload.sub);
    if (name === undefined) return undefined;
    const { groupsClaim, groupPrefix = "" } = issuer.settings;
    return {
      name,
      groups: groupsClaim === undefined ? [] : groupsFrom(claimAt(payload, groupsClaim), groupPrefix),
      method: "jwt",
      proofId: typeof jti === "string" && PUBLIC_ID.test(jti) ? jti : digest.slice(0, 16),
      expireTime,
    };
  }
}
