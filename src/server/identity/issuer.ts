import { checkKeyUrl } from "./fetch-json.ts";

/** One issuer whose tokens are taken. */
export interface JwtIssuer {
  /** What `iss` must be, to the letter. */
  readonly issuer: string;
  /** `aud` must hold one of these. */
  readonly audiences: readonly string[];
  readonly jwks:
    | { readonly file: string }
    | {
        readonly url: string;
        readonly caFile?: string | undefined;
        readonly tokenFile?: string | undefined;
        readonly maxAgeMs?: number;
        readonly cooldownMs?: number;
      };
  readonly algorithms?: readonly JwtAlgorithm[] | undefined;
  /** Goes before `sub` to make the principal's name. Begins with `jwt:`, which it is by default. */
  readonly principalPrefix?: string | undefined;
  /** The claim that holds groups, one or a list, such as `groups` or `kubernetes.io/serviceaccount/name`. */
  readonly groupsClaim?: string | undefined;
  readonly groupPrefix?: string | undefined;
}

/** Asymmetric all: with an HMAC whoever may verify could also sign. */
export const JWT_ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** How the names of JWT principals begin. */
export const DEFAULT_PREFIX = "jwt:";
const PREFIX = /^jwt:[!-)+-~]{0,128}$/;

/** Throws on the first setting that is wrong or unsafe. */
export function checkIssuers(issuers: readonly JwtIssuer[]): void {
  const known: ReadonlySet<string> = new Set(JWT_ALGORITHMS);
  for (const [index, settings] of issuers.entries()) {
    const { issuer, audiences, jwks, algorithms, principalPrefix = DEFAULT_PREFIX } = settings;
    const wrong = (what: string) => new Error(`JWT issuer ${issuer}: ${what}`);
    if (issuer === "") throw new Error("JWT issuer: must not be empty");
    if (audiences.length === 0 || audiences.includes("")) throw wrong("needs an audience");
    if (algorithms?.length === 0) throw wrong("needs an algorithm");
    for (const algorithm of algorithms ?? []) {
      if (!known.has(algorithm))
        throw wrong(`algorithm ${algorithm} is not one of ${JWT_ALGORITHMS.join(", ")}`);
    }
    if (!PREFIX.test(principalPrefix)) throw wrong("its principal prefix must begin with 'jwt:'");
    if ("url" in jwks) checkKeyUrl(jwks.url);
    const others = issuers.filter((_, at) => at !== index);
    for (const other of others) {
      if (other.issuer === issuer) throw wrong("is there twice");
      // Else one issuer could name a subject so that it is another's principal.
      const otherPrefix = other.principalPrefix ?? DEFAULT_PREFIX;
      if (otherPrefix.startsWith(principalPrefix)) {
        throw wrong(`its principal prefix '${principalPrefix}' must not begin that of ${other.issuer}`);
      }
    }
  }
}
