import type { X509Certificate } from "node:crypto";
import { type DerElement, derElements, derRoot, derSequence, TAG } from "./der.ts";

/**
 * What a certificate revocation list (RFC 5280, section 5) says, as far as connections that are already open need it.
 * New handshakes are OpenSSL's to judge, signature of the list included; it is given the same file.
 */
export interface RevocationList {
  readonly issuer: string;
  /** When the next list is due, Unix milliseconds. OpenSSL refuses every certificate under an overdue list. */
  readonly nextUpdate: number | undefined;
  /** Serial numbers, upper-case hexadecimal as Node prints them. */
  readonly serials: ReadonlySet<string>;
}

export function parseRevocationList(der: Buffer): RevocationList {
  const [tbs] = derSequence(derRoot(der));
  const fields = [...derSequence(tbs)];
  if (fields[0]?.tag === TAG.integer) fields.shift();
  const [, issuer, , ...rest] = fields;
  const nextUpdate = isTime(rest[0]) ? parseTime(rest.shift()) : undefined;
  const serials = new Set<string>();
  if (rest[0]?.tag === TAG.sequence) {
    for (const entry of derSequence(rest[0])) {
      const [serial] = derSequence(entry);
      if (serial?.tag !== TAG.integer) throw new Error("an entry has no serial number");
      serials.add(serialText(serial.content));
    }
  }
  return { issuer: canonicalName(issuer), nextUpdate, serials };
}

/** The issuer of a certificate, to be compared with that of a list. */
export function issuerOf(certificate: X509Certificate): string {
  return namesOf(certificate).issuer;
}

export function subjectOf(certificate: X509Certificate): string {
  return namesOf(certificate).subject;
}

interface Names {
  readonly issuer: string;
  readonly subject: string;
}

/** Read once for a certificate: every reload asks about every open connection. */
const known = new WeakMap<X509Certificate, Names>();

function namesOf(certificate: X509Certificate): Names {
  let names = known.get(certificate);
  if (names === undefined) {
    const [tbs] = derSequence(derRoot(certificate.raw));
    const fields = [...derSequence(tbs)];
    if (fields[0]?.tag === TAG.explicit0) fields.shift();
    const [, , issuer, , subject] = fields;
    names = { issuer: canonicalName(issuer), subject: canonicalName(subject) };
    known.set(certificate, names);
  }
  return names;
}

/**
 * A distinguished name as text that is equal for equal names. One authority's tools may write a name as
 * PrintableString here and UTF8String there; OpenSSL takes them as equal, so an open connection must too.
 */
function canonicalName(name: DerElement | undefined): string {
  const parts: string[] = [];
  for (const set of derSequence(name)) {
    for (const attribute of derElements(set.content)) {
      const [type, value] = derSequence(attribute);
      if (type?.tag !== TAG.objectIdentifier || value === undefined) throw new Error("DER: a bad name");
      const text = value.content.toString("utf8").trim().replace(/\s+/g, " ").toLowerCase();
      parts.push(`${type.content.toString("hex")}=${JSON.stringify(text)}`);
    }
  }
  return parts.join(",");
}

/** As `X509Certificate.serialNumber` has it: upper case, whole bytes, without the sign's zero byte. */
function serialText(integer: Buffer): string {
  const start = integer.findIndex((byte) => byte !== 0);
  return start < 0 ? "00" : integer.subarray(start).toString("hex").toUpperCase();
}

function isTime(element: DerElement | undefined): boolean {
  return element?.tag === TAG.utcTime || element?.tag === TAG.generalizedTime;
}

function parseTime(element: DerElement | undefined): number {
  const text = element?.content.toString("latin1") ?? "";
  const parts = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined) throw new Error("DER: a bad time");
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  // UTCTime has two digits, a window of 1950 to 2049 (RFC 5280, section 4.1.2.5.1).
  const fullYear = element?.tag === TAG.generalizedTime ? year : year + (year < 50 ? 2000 : 1900);
  return Date.UTC(fullYear, month - 1, day, hour, minute, second);
}
