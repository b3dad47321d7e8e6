import "reflect-metadata";
import { randomBytes, type webcrypto } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

export interface TlsInitOptions {
  /** Made when missing, mode 0700. */
  readonly dir: string;
  /** Host names and IP addresses that clients reach the server by. */
  readonly names?: readonly string[];
  /** Who the client certificate stands for: a URI such as `spiffe://dev/me`, or a DNS name. */
  readonly client?: string;
  readonly days?: number;
  readonly now?: Date;
}

/** Paths of what was written, all PEM; the keys are mode 0600. */
export interface TlsInitFiles {
  readonly caCert: string;
  readonly caKey: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly clientCert: string;
  readonly clientKey: string;
}

/** A certificate with its private key. */
export interface Issued {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;
const DAY_MS = 24 * 3600 * 1000;
/** Clocks of other machines may be a little behind. */
const SKEW_MS = 5 * 60 * 1000;

/** Makes an authority, a server and a client certificate for development. Refuses to replace a file. */
export async function tlsInit(options: TlsInitOptions): Promise<TlsInitFiles> {
  const { dir, names = ["localhost", "127.0.0.1", "::1"], client = "spiffe://dev/me", days = 365 } = options;
  const dates = validity(options.now ?? new Date(), days);
  const ca = await makeAuthority({ subject: "CN=Secret Slots development CA", ...dates });
  const server = await issue(ca, {
    subject: "CN=Secret Slots development server",
    names: names.map(hostName),
    usage: ExtendedKeyUsage.serverAuth,
    ...dates,
  });
  const user = await issue(ca, {
    subject: "CN=Secret Slots development client",
    names: [clientName(client)],
    usage: ExtendedKeyUsage.clientAuth,
    ...dates,
  });

  const files: TlsInitFiles = {
    caCert: join(dir, "ca.crt"),
    caKey: join(dir, "ca.key"),
    serverCert: join(dir, "server.crt"),
    serverKey: join(dir, "server.key"),
    clientCert: join(dir, "client.crt"),
    clientKey: join(dir, "client.key"),
  };
  const there = Object.values(files).find((path) => existsSync(path));
  if (there !== undefined) throw new Error(`${there} is there already; remove it or take another folder`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeNew(files.caKey, await keyPem(ca), 0o600);
  await writeNew(files.serverKey, await keyPem(server), 0o600);
  await writeNew(files.clientKey, await keyPem(user), 0o600);
  await writeNew(files.caCert, certificatePem(ca), 0o644);
  await writeNew(files.serverCert, certificatePem(server), 0o644);
  await writeNew(files.clientCert, certificatePem(user), 0o644);
  return files;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export function validity(now: Date, days: number): Validity {
  return { notBefore: new Date(now.getTime() - SKEW_MS), notAfter: new Date(now.getTime() + days * DAY_MS) };
}

export interface AuthorityOptions extends Validity {
  readonly subject: string;
}

/** A self-signed authority that may sign end certificates and nothing else. */
export async function makeAuthority(options: AuthorityOptions): Promise<Issued> {
  const keys = await crypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: options.subject,
    notBefore: options.notBefore,
    notAfter: options.notAfter,
    keys,
    signingAlgorithm: SIGNING,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate, keys };
}

export type AlternativeName = { readonly type: "dns" | "ip" | "url"; readonly value: string };

export interface IssueOptions extends Validity {
  readonly subject: string;
  readonly names: readonly AlternativeName[];
  readonly usage: ExtendedKeyUsage;
}

export async function issue(authority: Issued, options: IssueOptions): Promise<Issued> {
  const keys = await crypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([options.usage]),
    new SubjectAlternativeNameExtension([...options.names]),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
    await AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
  ];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: options.subject,
    issuer: authority.certificate.subject,
    notBefore: options.notBefore,
    notAfter: options.notAfter,
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: SIGNING,
    extensions,
  });
  return { certificate, keys };
}

export function certificatePem(issued: Issued): string {
  return `${issued.certificate.toString("pem")}\n`;
}

export async function keyPem(issued: Issued): Promise<string> {
  const der = await crypto.subtle.exportKey("pkcs8", issued.keys.privateKey);
  return `${PemConverter.encode(der, "PRIVATE KEY")}\n`;
}

/** 127 random bits: unpredictable, positive, and without a zero byte in front (RFC 5280, section 4.1.2.2). */
export function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function hostName(name: string): AlternativeName {
  if (isIP(name) !== 0) return { type: "ip", value: name };
  if (!/^(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(name)) {
    throw new Error(`'${name}' is neither a host name nor an IP address`);
  }
  return { type: "dns", value: name };
}

function clientName(client: string): AlternativeName {
  return client.includes("://") ? { type: "url", value: client } : hostName(client);
}

/** Never replaces a file, nor follows a link that someone put there in between. */
async function writeNew(path: string, text: string, mode: number): Promise<void> {
  await writeFile(path, text, { mode, flag: "wx" });
}
