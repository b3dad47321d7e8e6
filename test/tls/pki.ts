import "reflect-metadata";
import { generateKeyPairSync, type webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { serialNumber } from "../../src/cli/tls-init.ts";

/** Tests take it from here, since it wants its polyfill loaded first. */
export { x509 };

/** A certificate made to a test's wishes, good or bad. */
export interface Made {
  readonly certificate: x509.X509Certificate;
  readonly publicKey: Buffer;
  readonly signingKey: webcrypto.CryptoKey | undefined;
  readonly pem: string;
  readonly keyPem: string;
}

const KINDS = {
  p256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  p384: () => generateKeyPairSync("ec", { namedCurve: "P-384" }),
  p224: () => generateKeyPairSync("ec", { namedCurve: "P-224" }),
  p256k1: () => generateKeyPairSync("ec", { namedCurve: "secp256k1" }),
  rsa1024: () => generateKeyPairSync("rsa", { modulusLength: 1024 }),
  rsa2048: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ed25519: () => generateKeyPairSync("ed25519"),
  dsa: () => generateKeyPairSync("dsa", { modulusLength: 2048, divisorLength: 256 }),
};

/** What the Web Crypto of the library can sign with. */
const SIGNERS: Partial<Record<keyof typeof KINDS, webcrypto.Algorithm & { namedCurve?: string }>> = {
  p256: { name: "ECDSA", namedCurve: "P-256" },
  p384: { name: "ECDSA", namedCurve: "P-384" },
  rsa1024: { name: "RSASSA-PKCS1-v1_5" },
  rsa2048: { name: "RSASSA-PKCS1-v1_5" },
  ed25519: { name: "Ed25519" },
};

export interface MakeOptions {
  readonly subject?: string;
  /** Self-signed when left out. */
  readonly issuer?: Made;
  readonly from?: Date;
  readonly until?: Date;
  readonly serial?: string;
  readonly key?: keyof typeof KINDS;
  /** Of what it is signed with. */
  readonly hash?: "SHA-1" | "SHA-256";
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: number;
  readonly usages?: readonly string[];
  readonly names?: x509.JsonGeneralNames;
  readonly more?: readonly x509.Extension[];
}

export const HOUR = 3600_000;
export const CLIENT_AUTH: string = x509.ExtendedKeyUsage.clientAuth;
export const SERVER_AUTH: string = x509.ExtendedKeyUsage.serverAuth;
export const USAGE = x509.KeyUsageFlags;

export async function make(options: MakeOptions = {}): Promise<Made> {
  const { issuer, ca = false, key = "p256" } = options;
  const pair = KINDS[key]();
  const spki = pair.publicKey.export({ type: "spki", format: "der" });
  const pkcs8 = pair.privateKey.export({ type: "pkcs8", format: "der" });
  const signer = SIGNERS[key];
  const hash = options.hash ?? "SHA-256";
  const signingKey =
    signer &&
    (await crypto.subtle.importKey("pkcs8", pkcs8, { ...signer, hash } as webcrypto.Algorithm, false, [
      "sign",
    ]));
  const signedBy = issuer?.signingKey ?? signingKey;
  if (signedBy === undefined) throw new Error("a key of this kind signs nothing here");

  const subject = options.subject ?? `CN=${ca ? "authority" : "leaf"} ${serialNumber()}`;
  const keyUsage = options.keyUsage ?? (ca ? USAGE.keyCertSign | USAGE.cRLSign : USAGE.digitalSignature);
  const usages = options.usages ?? (ca ? [] : [CLIENT_AUTH]);
  const publicKey = new x509.PublicKey(spki);
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(ca, options.pathLength, true),
    new x509.KeyUsagesExtension(keyUsage, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
  if (usages.length > 0) extensions.push(new x509.ExtendedKeyUsageExtension([...usages]));
  if (options.names !== undefined) extensions.push(new x509.SubjectAlternativeNameExtension(options.names));
  extensions.push(...(options.more ?? []));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: options.serial ?? serialNumber(),
    subject,
    issuer: issuer?.certificate.subject ?? subject,
    notBefore: options.from ?? new Date(Date.now() - HOUR),
    notAfter: options.until ?? new Date(Date.now() + 1000 * HOUR),
    publicKey,
    signingKey: signedBy,
    signingAlgorithm: { name: signedBy.algorithm.name, hash } as webcrypto.EcdsaParams,
    extensions,
  });
  return {
    certificate,
    publicKey: spki,
    signingKey,
    pem: `${certificate.toString("pem")}\n`,
    keyPem: String(pair.privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

export const authority = (options: MakeOptions = {}) => make({ ca: true, ...options });

export const server = (issuer: Made, options: MakeOptions = {}) =>
  make({
    issuer,
    subject: "CN=server",
    usages: [SERVER_AUTH],
    names: [
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
    ],
    ...options,
  });

export const uri = (value: string): x509.JsonGeneralNames => [{ type: "url", value }];
export const dns = (...values: string[]): x509.JsonGeneralNames =>
  values.map((value) => ({ type: "dns", value }));

export interface CrlOptions {
  readonly revoked?: readonly Made[];
  readonly next?: Date;
  /** Who signs instead of the issuer. */
  readonly signer?: Made;
}

export async function crl(issuer: Made, options: CrlOptions = {}): Promise<string> {
  const signingKey = (options.signer ?? issuer).signingKey;
  if (signingKey === undefined) throw new Error("a key of this kind signs nothing here");
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.certificate.subject,
    thisUpdate: new Date(Date.now() - 2 * HOUR),
    nextUpdate: options.next ?? new Date(Date.now() + 1000 * HOUR),
    entries: (options.revoked ?? []).map((made) => ({
      serialNumber: made.certificate.serialNumber,
      revocationDate: new Date(Date.now() - HOUR),
      reason: x509.X509CrlReason.keyCompromise,
    })),
    signingKey,
    signingAlgorithm: { name: signingKey.algorithm.name, hash: "SHA-256" } as webcrypto.EcdsaParams,
  });
  // The library's own label is CRL; everybody else reads X509 CRL.
  return `${x509.PemConverter.encode(list.rawData, "X509 CRL")}\n`;
}
