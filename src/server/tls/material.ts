import { constants, createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
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

/** What the files held at one reading. */
export interface TlsContents {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
  readonly crl: Buffer | undefined;
}

/** A set of files that was checked and may be used. */
export interface TlsMaterial {
  readonly context: SecureContextOptions;
  readonly trust: Trust;
  /** The server certificate in a few words, for the log. */
  readonly summary: string;
  /** What an operator should look at; the set is used all the same. */
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

const SOON_MS = 14 * 24 * 3600 * 1000;

/** Throws naming the file that can't be read. */
export function readTlsFiles(files: TlsFiles): TlsContents {
  return {
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    ca: files.caFile === undefined ? undefined : readFileSync(files.caFile),
    crl: files.crlFile === undefined ? undefined : readFileSync(files.crlFile),
  };
}

/** Checks a set as a whole; throws an error that names the part at fault. Never puts a byte of a key in it. */
export function checkTlsMaterial(contents: TlsContents, now: number): TlsMaterial {
  const chain = parseCertificates(contents.cert, "certificate");
  const leaf = chain[0];
  if (leaf === undefined) throw new Error("certificate: the file holds none");
  if (!leaf.checkPrivateKey(parseKey(contents.key))) {
    throw new Error("key: it does not belong to the certificate");
  }
  const authorities = contents.ca === undefined ? [] : parseAuthorities(contents.ca);
  const crls = contents.crl === undefined ? [] : pemBlocks(contents.crl, "X509 CRL");
  const lists = parseLists(crls, authorities, contents.crl !== undefined);

  const context: SecureContextOptions = {
    cert: contents.cert,
    key: contents.key,
    ...(contents.ca !== undefined && { ca: authorities.map((authority) => authority.toString()) }),
    // Node reads only the first list of a text, so each goes in by itself.
    ...(crls.length > 0 && { crl: crls }),
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
    ciphers: CIPHERS,
    // A resumed session would be judged by yesterday's authorities and revocations.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  // What OpenSSL refuses must come to light here: grpc-js stops accepting when a context it was given fails.
  createSecureContext(context);

  return {
    context,
    trust: new Trust(authorities, lists),
    summary: `serial ${leaf.serialNumber}, valid until ${leaf.validToDate.toISOString()}`,
    warnings: [
      ...dateWarnings("certificate", chain, now),
      ...dateWarnings("ca", authorities, now),
      ...lists.flatMap((list) =>
        list.nextUpdate !== undefined && list.nextUpdate <= now
          ? ["crl: a list is overdue, so every certificate of its authority is refused"]
          : [],
      ),
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

function parseLists(
  pems: readonly string[],
  authorities: readonly X509Certificate[],
  wanted: boolean,
): RevocationList[] {
  if (!wanted) return [];
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
