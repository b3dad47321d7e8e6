import type { X509Certificate } from "node:crypto";
import type { Principal } from "../../domain/access.ts";

/** Why a client certificate that leads to a trusted authority is refused all the same. */
export type CertificateFault = "IS_AUTHORITY" | "NOT_FOR_CLIENTS" | "WEAK_KEY";

export type CertificateIdentity =
  | { readonly kind: "refused"; readonly fault: CertificateFault }
  | {
      readonly kind: "accepted";
      /** When the certificate ends, Unix milliseconds. */
      readonly until: number;
      /** Undefined when it names nobody: it protects the connection and proves no identity. */
      readonly principal: Principal | undefined;
    };

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/**
 * Says who a client certificate stands for. The caller has had it verified: signatures, dates, path lengths, the
 * strength of what is above it, and revocation, up to an authority of the CA file, are OpenSSL's work. Here is what
 * OpenSSL leaves open: it takes a certificate without extended key usage for any purpose, an authority's own
 * certificate as a client's, and some curves that are in no standard for TLS.
 */
export function certificateIdentity(leaf: X509Certificate): CertificateIdentity {
  if (leaf.ca) return { kind: "refused", fault: "IS_AUTHORITY" };
  // Node calls the list of extended key usages `keyUsage`.
  if (!(leaf.keyUsage ?? []).includes(CLIENT_AUTH)) return { kind: "refused", fault: "NOT_FOR_CLIENTS" };
  if (weakKey(leaf)) return { kind: "refused", fault: "WEAK_KEY" };
  return { kind: "accepted", until: leaf.validToDate.getTime(), principal: certificatePrincipal(leaf) };
}

/**
 * The principal that a certificate's subject alternative names give, or undefined. Never looks at the common name.
 *
 * The rule: exactly one URI wins (a SPIFFE identity may carry DNS names besides); with no URI, exactly one DNS name
 * gives `dns:NAME` in lower case. Two of a kind give nobody: which one counts would depend on the order in which
 * some tool wrote them, and whoever can add a name to a request must not be able to pick another's rights.
 */
export function certificatePrincipal(leaf: X509Certificate): Principal | undefined {
  const names = alternativeNames(leaf.subjectAltName);
  const name = names && (names.uris.length > 0 ? onlyUri(names.uris) : onlyDns(names.hosts));
  if (name === undefined) return undefined;
  return {
    name,
    groups: [],
    method: "certificate",
    proofId: leaf.serialNumber.toLowerCase(),
    expireTime: leaf.validToDate.getTime(),
  };
}

/** RSA below 2048 bits, curves below P-256, and kinds of key that nobody should use any more. */
export function weakKey(certificate: X509Certificate): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
  switch (type) {
    case "rsa":
    case "rsa-pss":
      return (details?.modulusLength ?? 0) < 2048;
    case "ec":
      return !STRONG_CURVES.has(details?.namedCurve ?? "");
    case "ed25519":
    case "ed448":
      return false;
    default:
      return true;
  }
}

const STRONG_CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/**
 * Node prints `URI:…, DNS:…` and puts every value that holds a comma, a quote, a control or a non-ASCII character
 * in JSON quotes. No name that we take needs them, so a text with a quote anywhere names nobody, and what is left
 * can be split at the commas without being led astray.
 */
function alternativeNames(text: string | undefined): { uris: string[]; hosts: string[] } | undefined {
  if (text === undefined || text.includes('"')) return undefined;
  const parts = text.split(", ");
  const ofKind = (kind: string) =>
    parts.flatMap((part) => (part.startsWith(`${kind}:`) ? [part.slice(kind.length + 1)] : []));
  return { uris: ofKind("URI"), hosts: ofKind("DNS") };
}

/** Absolute, with an authority, and in the characters of RFC 3986; `*` would read as a pattern in a policy. */
const URI =
  /^[a-z][a-z0-9+.-]*:\/\/[A-Za-z0-9._~%!$&'()+,;=:@[\]-]+(?:[/?#][A-Za-z0-9._~%!$&'()+,;=:@/?#-]*)?$/;
const HOST =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
/** How the names of other kinds of principal begin: `token://admin` in a certificate must not be the admin token's. */
const RESERVED = /^(?:token|jwt|dns):/;
const MAX_URI = 512;

function onlyUri(uris: readonly string[]): string | undefined {
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) return undefined;
  return uri.length <= MAX_URI && URI.test(uri) && !RESERVED.test(uri) ? uri : undefined;
}

function onlyDns(hosts: readonly string[]): string | undefined {
  const host = hosts[0]?.toLowerCase();
  return host !== undefined && hosts.length === 1 && HOST.test(host) ? `dns:${host}` : undefined;
}
