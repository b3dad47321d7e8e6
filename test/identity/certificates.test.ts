import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ClientFiles, type Door, handshake, openDoor } from "../tls/door.ts";
import * as pki from "../tls/pki.ts";
import {
  CLIENT_AUTH,
  dns,
  HOUR,
  type Made,
  type MakeOptions,
  SERVER_AUTH,
  USAGE,
  uri,
  x509,
} from "../tls/pki.ts";

/**
 * Every certificate here is shown in a real handshake to a real server, once where a certificate is optional and
 * once where it is required. `fault` is what refuses it, so that a case can't pass for another's reason; UNSPECIFIED is
 * how Node calls the faults of OpenSSL that it has no name for, NOBODY a certificate that is good and proves nothing.
 */
interface Case {
  readonly leaf: Made;
  /** Sent with the leaf. */
  readonly with?: readonly Made[];
}

const PAY = uri("spiffe://prod/pay");
let root: Made;
let serverCert: Made;
let optional: Door;
let required: Door;
const revoked: Made[] = [];
const intermediates: Made[] = [];

/** Every intermediate has a list, so that none is refused for want of one. */
async function intermediate(options: MakeOptions): Promise<Made> {
  const made = await pki.authority({ issuer: root, ...options });
  intermediates.push(made);
  return made;
}
const leaf = (options: MakeOptions = {}) => pki.make({ issuer: root, names: PAY, ...options });
const alone = async (options: MakeOptions = {}): Promise<Case> => ({ leaf: await leaf(options) });
const under = async (issuer: Made, ...more: Made[]): Promise<Case> => ({
  leaf: await leaf({ issuer }),
  with: [issuer, ...more],
});

const BAD: Record<string, { readonly fault: string; readonly make: () => Promise<Case> }> = {
  expired: {
    fault: "CERT_HAS_EXPIRED",
    make: () => alone({ from: new Date(Date.now() - 9 * HOUR), until: new Date(Date.now() - HOUR) }),
  },
  "not valid yet": { fault: "CERT_NOT_YET_VALID", make: () => alone({ from: new Date(Date.now() + HOUR) }) },
  "for servers only": { fault: "INVALID_PURPOSE", make: () => alone({ usages: [SERVER_AUTH] }) },
  "for signing code": { fault: "INVALID_PURPOSE", make: () => alone({ usages: ["1.3.6.1.5.5.7.3.3"] }) },
  "for any use": { fault: "INVALID_PURPOSE", make: () => alone({ usages: ["2.5.29.37.0"] }) },
  "without extended key usage": { fault: "NOT_FOR_CLIENTS", make: () => alone({ usages: [""].slice(1) }) },
  "key usage without signatures": {
    fault: "INVALID_PURPOSE",
    make: () => alone({ keyUsage: USAGE.keyEncipherment }),
  },
  "of another authority": {
    fault: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    make: async () => alone({ issuer: await pki.authority() }),
  },
  "of another authority with our authority's name": {
    fault: "CERT_SIGNATURE_FAILURE",
    make: async () => alone({ issuer: await pki.authority({ subject: root.certificate.subject }) }),
  },
  "of another authority, which is sent along": {
    fault: "UNABLE_TO_GET_CRL",
    make: async () => under(await pki.authority()),
  },
  "self-signed leaf": {
    fault: "UNABLE_TO_GET_CRL",
    make: async () => ({ leaf: await pki.make({ names: PAY }) }),
  },
  "self-signed leaf with our authority's name": {
    fault: "CRL_SIGNATURE_FAILURE",
    make: async () => ({ leaf: await pki.make({ names: PAY, subject: root.certificate.subject }) }),
  },
  "signature broken": {
    fault: "CERT_SIGNATURE_FAILURE",
    make: async () => ({ leaf: tampered(await leaf()) }),
  },
  "critical extension that nobody knows": {
    fault: "UNSPECIFIED",
    make: () => alone({ more: [new x509.Extension("1.3.6.1.4.1.99999.1", true, new Uint8Array([5, 0]))] }),
  },
  revoked: {
    fault: "CERT_REVOKED",
    make: async () => {
      const made = await leaf();
      revoked.push(made);
      return { leaf: made };
    },
  },
  "under a revoked intermediate": {
    fault: "CERT_REVOKED",
    make: async () => {
      const made = await intermediate({});
      revoked.push(made);
      return under(made);
    },
  },
  "under an intermediate without a revocation list": {
    fault: "UNABLE_TO_GET_CRL",
    make: async () => under(await pki.authority({ issuer: root })),
  },
  "RSA of 1024 bits": { fault: "UNSPECIFIED", make: () => alone({ key: "rsa1024" }) },
  "curve below P-256": { fault: "NO_HANDSHAKE", make: () => alone({ key: "p224" }) },
  "curve outside the standard": { fault: "NO_HANDSHAKE", make: () => alone({ key: "p256k1" }) },
  "signed with SHA-1": { fault: "UNSPECIFIED", make: () => alone({ hash: "SHA-1" }) },
  "under an intermediate with a weak key": {
    fault: "UNSPECIFIED",
    make: async () => under(await intermediate({ key: "rsa1024" })),
  },
  "under an expired intermediate": {
    fault: "CERT_HAS_EXPIRED",
    make: async () => under(await intermediate({ until: new Date(Date.now() - HOUR / 2) })),
  },
  "under an intermediate for servers only": {
    fault: "INVALID_PURPOSE",
    make: async () => under(await intermediate({ usages: [SERVER_AUTH] })),
  },
  "under an intermediate that may not sign certificates": {
    fault: "UNSPECIFIED",
    make: async () => under(await intermediate({ keyUsage: USAGE.cRLSign })),
  },
  "signed by another leaf": { fault: "UNSPECIFIED", make: async () => under(await leaf()) },
  "chain longer than the intermediate allows": {
    fault: "PATH_LENGTH_EXCEEDED",
    make: async () => {
      const first = await intermediate({ pathLength: 0 });
      const second = await intermediate({ issuer: first });
      return under(second, first);
    },
  },
  "intermediate not sent": {
    fault: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    make: async () => alone({ issuer: await intermediate({}) }),
  },
  "outside the intermediate's name constraints": {
    fault: "UNSPECIFIED",
    make: async () => under(await intermediate({ more: [onlyUnder("test.example")] })),
  },
  "our authority's own certificate": { fault: "INVALID_PURPOSE", make: async () => ({ leaf: root }) },
  "an authority as a client": {
    fault: "IS_AUTHORITY",
    make: () =>
      alone({ ca: true, usages: [CLIENT_AUTH], keyUsage: USAGE.digitalSignature | USAGE.keyCertSign }),
  },
  "common name only": {
    fault: "NOBODY",
    make: () => pki.make({ issuer: root, subject: "CN=pay" }).then(only),
  },
  "common name like a URI": {
    fault: "NOBODY",
    make: () => pki.make({ issuer: root, subject: "CN=spiffe://prod/pay" }).then(only),
  },
  "e-mail address only": {
    fault: "NOBODY",
    make: () => alone({ names: [{ type: "email", value: "a@b.example" }] }),
  },
  "IP address only": { fault: "NOBODY", make: () => alone({ names: [{ type: "ip", value: "10.0.0.1" }] }) },
  "two URIs": { fault: "NOBODY", make: () => alone({ names: [...PAY, ...uri("spiffe://prod/admin")] }) },
  "the same URI twice": { fault: "NOBODY", make: () => alone({ names: [...PAY, ...PAY] }) },
  "two DNS names": { fault: "NOBODY", make: () => alone({ names: dns("pay.example", "admin.example") }) },
  "wildcard DNS name": { fault: "NOBODY", make: () => alone({ names: dns("*.example") }) },
  "the admin token's name as a URI": { fault: "NOBODY", make: () => alone({ names: uri("token:admin") }) },
  "the admin token's name with slashes": {
    fault: "NOBODY",
    make: () => alone({ names: uri("token://admin") }),
  },
  "a JWT principal's name as a URI": { fault: "NOBODY", make: () => alone({ names: uri("jwt://admin") }) },
  "a DNS principal's name as a URI": {
    fault: "NOBODY",
    make: () => alone({ names: uri("dns:pay.example") }),
  },
  "URI that is a pattern": { fault: "NOBODY", make: () => alone({ names: uri("spiffe://prod/*") }) },
  "URI that looks like two names": {
    fault: "NOBODY",
    make: () => alone({ names: uri("spiffe://prod/pay, URI:spiffe://prod/admin") }),
  },
  "DNS name that looks like a URI": {
    fault: "NOBODY",
    make: () => alone({ names: dns("pay.example, URI:spiffe://prod/admin") }),
  },
  "URI with a line break": { fault: "NOBODY", make: () => alone({ names: uri("spiffe://prod/pay\nx") }) },
  "DNS name with a zero byte": { fault: "NOBODY", make: () => alone({ names: dns("pay.example\0.evil") }) },
  "URI without an authority": { fault: "NOBODY", make: () => alone({ names: uri("urn:pay") }) },
};

const GOOD: Record<string, { readonly name: string; readonly make: () => Promise<Case> }> = {
  SPIFFE: { name: "spiffe://prod/pay", make: () => alone() },
  "SPIFFE of another": {
    name: "spiffe://prod/shop",
    make: () => alone({ names: uri("spiffe://prod/shop") }),
  },
  "URI with DNS names besides": {
    name: "spiffe://prod/pay",
    make: () => alone({ names: [...dns("a.example", "b.example"), ...PAY] }),
  },
  "one DNS name": { name: "dns:pay.example", make: () => alone({ names: dns("pay.example") }) },
  "DNS name in capitals": { name: "dns:pay.example", make: () => alone({ names: dns("Pay.EXAMPLE") }) },
  "RSA of 2048 bits": { name: "spiffe://prod/pay", make: () => alone({ key: "rsa2048" }) },
  "P-384": { name: "spiffe://prod/pay", make: () => alone({ key: "p384" }) },
  Ed25519: { name: "spiffe://prod/pay", make: () => alone({ key: "ed25519" }) },
  "for servers too": { name: "spiffe://prod/pay", make: () => alone({ usages: [SERVER_AUTH, CLIENT_AUTH] }) },
  "under an intermediate": { name: "spiffe://prod/pay", make: async () => under(await intermediate({})) },
  "under three intermediates": {
    name: "spiffe://prod/pay",
    make: async () => {
      const first = await intermediate({});
      const second = await intermediate({ issuer: first });
      return under(await intermediate({ issuer: second }), second, first);
    },
  },
  "within the intermediate's name constraints": {
    name: "spiffe://test.example/pay",
    make: async () => {
      const issuer = await intermediate({ more: [onlyUnder("test.example")] });
      return { leaf: await leaf({ issuer, names: uri("spiffe://test.example/pay") }), with: [issuer] };
    },
  },
};

const made = new Map<unknown, Case>();

beforeAll(async () => {
  root = await pki.authority();
  serverCert = await pki.server(root);
  for (const entry of [...Object.values(BAD), ...Object.values(GOOD)]) made.set(entry, await entry.make());
  const lists = await Promise.all(
    [root, ...intermediates].map((issuer) =>
      pki.crl(issuer, {
        revoked: revoked.filter((one) => one.certificate.issuer === issuer.certificate.subject),
      }),
    ),
  );
  const files = {
    cert: serverCert.pem,
    key: serverCert.keyPem,
    ca: root.pem,
    root: root.pem,
    crl: lists.join(""),
  };
  optional = await openDoor({ ...files, mode: "optional" });
  required = await openDoor({ ...files, mode: "required" });
}, 60_000);

afterAll(async () => {
  await optional?.[Symbol.asyncDispose]();
  await required?.[Symbol.asyncDispose]();
});

function files(entry: unknown) {
  const { leaf: own, with: more = [] } = made.get(entry) as Case;
  return { cert: [own, ...more].map((one) => one.pem).join(""), key: own.keyPem };
}

describe("a bad certificate is refused", () => {
  test("there are at least 30", () => expect(Object.keys(BAD).length).toBeGreaterThanOrEqual(30));

  test.for(Object.entries(BAD))("%s", async ([, bad]) => {
    for (const door of [optional, required]) {
      expect(await door.whoami(files(bad))).toMatch(/^(UNAVAILABLE\(\)|UNAUTHENTICATED\(nobody\))$/);
      expect(await reasonOfRefusal(door, files(bad), bad.fault)).toBe(bad.fault);
    }
  });
});

describe("a good certificate is who it says", () => {
  test.for(Object.entries(GOOD))("%s", async ([, good]) => {
    expect(await optional.whoami(files(good))).toBe(good.name);
    expect(await required.whoami(files(good))).toBe(good.name);
  });
});

/** What the server says of a handshake with this certificate; NOBODY when it takes the connection. */
async function reasonOfRefusal(door: Door, client: ClientFiles, expected: string): Promise<string> {
  if (expected === "NO_HANDSHAKE") {
    // TLS 1.3 has no name for such signatures, so clients can't show the certificate; in 1.2 the server ends it.
    const attempt = handshake(door, { ca: root.pem, ...client, maxVersion: "TLSv1.2" });
    return attempt.then(
      () => "taken",
      () => "NO_HANDSHAKE",
    );
  }
  const socket = await handshake(door, { ca: root.pem, ...client });
  const port = socket.localPort ?? 0;
  try {
    // What comes is the server's first HTTP/2 frame, or its good-bye.
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    await new Promise((resolve) => socket.once("data", resolve).once("close", resolve));
    return door.refused.get(port) ?? "NOBODY";
  } finally {
    socket.destroy();
  }
}

function only(leaf: Made): Case {
  return { leaf };
}

function tampered(made: Made): Made {
  const der = Buffer.from(made.certificate.rawData);
  // In the subject key's bytes or the signature every flip shows; the last byte is the signature's.
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  return { ...made, pem: `${x509.PemConverter.encode(der, "CERTIFICATE")}\n` };
}

/** RFC 5280 name constraints: URIs at this host only. */
function onlyUnder(host: string): x509.Extension {
  const name = Buffer.from(host);
  const tlv = (tag: number, ...parts: Buffer[]) => {
    const content = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([tag, content.length]), content]);
  };
  return new x509.Extension("2.5.29.30", true, tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0x86, name)))));
}
