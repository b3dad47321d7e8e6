import { constants, createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { weakKey } from "../identity/certificate.ts";
import { parseRevocationList, type RevocationList, subjectOf } from "./revocation.ts";
import { Trust } from "./trust.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  /** The server's certificate, then its intermediates. */
  readonly certFile: string;
  /** Its private key, not encrypted. */
  readonly keyFile: string;
  /** The authorities that client certificates must lead to. */
  readonly caFile?: string | undefined;
  /** One list for every authority of a client's chain. */
  readonly crlFile?: string | undefined;
}

/** The server's own certificate and key, checked. */
export interface ServerIdentity {
  readonly context: SecureContextOptions;
  /** In a few words, for the log. */
  readonly summary: string;
  /** What an operator should look at; the files are used all the same. */
  readonly warnings: readonly string[];
}

/** Whom client certificates must lead to, and which are revoked, checked. */
export interface ClientTrust {
  readonly context: SecureContextOptions;
  readonly trust: Trust;
  readonly warnings: readonly string[];
}

/** Forward secrecy and authenticated encryption only; level 2 refuses keys and signatures below 112 bits in a chain. */
const CIPHERS = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "@SECLEVEL=2",
].join(":");

/** At least 128 bits each; the first holds against a quantum computer, too. Without a list OpenSSL adds 112-bit ones. */
const GROUPS = "X25519MLKEM768:X25519:P-256:P-384";
/** For an OpenSSL before 3.5, which knows no other. */
const CLASSIC_GROUPS = "X25519:P-256:P-384";

const SOON_MS = 14 * 24 * 3600 * 1000;

/** What every handshake is held to. */
const BASE: SecureContextOptions = {
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  ciphers: CIPHERS,
  ecdhCurve: knows(GROUPS) ? GROUPS : CLASSIC_GROUPS,
  // A resumed session would be judged by yesterday's authorities and revocations.
  secureOptions: constants.SSL_OP_NO_TICKET,
};

function knows(groups: string): boolean {
  try {
    createSecureContext({ ecdhCurve: groups });
    return true;
  } catch {
    return false;
  }
}

/** Both parts together; they were tried one by one, so that this does not fail. */
export function handshakeOptions(
  identity: ServerIdentity,
  client: ClientTrust | undefined,
): SecureContextOptions {
  return { ...BASE, ...identity.context, ...client?.context };
}

/** Throws an error that names the part at fault; it never holds a byte of the key. */
export function checkServerIdentity(cert: Buffer, key: Buffer, now: number): ServerIdentity {
  const chain = parseCertificates(cert, "certificate");
  const leaf = chain[0];
  if (leaf === undefined) throw new Error("certificate: the file holds none");
  if (!leaf.checkPrivateKey(parseKey(key))) throw new Error("key: it does not belong to the certificate");
  const context = { cert, key };
  createSecureContext({ ...BASE, ...context });
  return {
    context,
    summary: `serial ${leaf.serialNumber}, valid until ${leaf.validToDate.toISOString()}`,
    warnings: dateWarnings("certificate", chain, now),
  };
}

/** Throws an error that names the part at fault. */
export function checkClientTrust(ca: Buffer, crl: Buffer | undefined, now: number): ClientTrust {
  const authorities = parseAuthorities(ca);
  const crls = crl === undefined ? [] : pemBlocks(crl, "X509 CRL");
  const lists = crl === undefined ? [] : parseLists(crls, authorities);
  const context = {
    ca: authorities.map((authority) => authority.toString()),
    // Node reads only the first list of a text, so each goes in by itself.
    ...(crls.length > 0 && { crl: crls }),
  };
  createSecureContext({ ...BASE, ...context });
  const overdue = lists.filter((list) => list.nextUpdate !== undefined && list.nextUpdate <= now);
  return {
    context,
    trust: new Trust(authorities, lists),
    warnings: [
      ...dateWarnings("ca", authorities, now),
      ...overdue.map(() => "crl: a list is overdue, so every certificate of its authority is refused"),
    ],
  };
}

function parseKey(pem: Buffer) {
  try {
    return createPrivateKey(pem);
  } catch {
    // OpenSSL's own words may quote the input.
    throw new Error("key: not a private key in PEM without a passphrase");
  }
}

function parseAuthorities(pem: Buffer): X509Certificate[] {
  const authorities = parseCertificates(pem, "ca");
  if (authorities.length === 0) throw new Error("ca: the file holds no certificate");
  for (const authority of authorities) {
    // OpenSSL would take a client's own certificate in this file as trusted by itself, past every other check.
    if (!authority.ca)
      throw new Error(`ca: the certificate with serial ${authority.serialNumber} is no authority`);
    if (weakKey(authority)) throw new Error(`ca: the key of serial ${authority.serialNumber} is too weak`);
  }
  return authorities;
}

function parseLists(pems: readonly string[], authorities: readonly X509Certificate[]): RevocationList[] {
  if (pems.length === 0) throw new Error("crl: the file holds no list");
  const lists = pems.map((pem) => {
    try {
      return parseRevocationList(pemBytes(pem));
    } catch (error) {
      throw new Error("crl: a list can't be read", { cause: error });
    }
  });
  const issuers = new Set(lists.map((list) => list.issuer));
  for (const authority of authorities) {
    // OpenSSL refuses every certificate of an authority that has no list: say so once, here.
    if (!issuers.has(subjectOf(authority))) {
      throw new Error(`crl: no list for the authority with serial ${authority.serialNumber}`);
    }
  }
  return lists;
}

function parseCertificates(pem: Buffer, part: string): X509Certificate[] {
  return pemBlocks(pem, "CERTIFICATE").map((block) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Error(`${part}: a certificate can't be read`);
    }
  });
}

function pemBlocks(pem: Buffer, label: string): string[] {
  const pattern = new RegExp(`-----BEGIN ${label}-----[A-Za-z0-9+/=\\s]+-----END ${label}-----`, "g");
  return pem.toString("latin1").match(pattern) ?? [];
}

function pemBytes(block: string): Buffer {
  return Buffer.from(block.replace(/-----[^-]+-----/g, ""), "base64");
}

function dateWarnings(part: string, certificates: readonly X509Certificate[], now: number): string[] {
  return certificates.flatMap((certificate) => {
    const until = certificate.validToDate.getTime();
    const name = `${part}: serial ${certificate.serialNumber}`;
    if (until <= now) return [`${name} has expired`];
    if (certificate.validFromDate.getTime() > now) return [`${name} is not valid yet`];
    return until - now < SOON_MS ? [`${name} expires ${certificate.validToDate.toISOString()}`] : [];
  });
}
