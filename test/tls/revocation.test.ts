import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { derElements } from "../../src/server/tls/der.ts";
import { issuerOf, parseRevocationList } from "../../src/server/tls/revocation.ts";
import * as pki from "./pki.ts";

const der = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64");

test("a list is read as it was written", async () => {
  const ca = await pki.authority({ subject: "CN=Root, O=Some  Company, C=DE" });
  const gone = await Promise.all(
    ["01", "7f", "0080", "00ffee", "7a".repeat(20)].map((serial) => pki.make({ issuer: ca, serial })),
  );
  const next = new Date(Math.floor(Date.now() / 1000) * 1000 + pki.HOUR);
  const list = parseRevocationList(der(await pki.crl(ca, { revoked: gone, next })));
  const printed = gone.map((made) => new X509Certificate(made.pem));
  expect(list.issuer).toBe(issuerOf(printed[0] as X509Certificate));
  expect([...list.serials]).toEqual(printed.map((certificate) => certificate.serialNumber));
  expect(list.nextUpdate).toBe(next.getTime());
  expect(parseRevocationList(der(await pki.crl(ca))).serials.size).toBe(0);
});

test("a name is the same in another encoding of its text, and another name is not", async () => {
  const name = (type: "utf8String" | "printableString" | "ia5String", value: string) =>
    new pki.x509.Name([{ CN: [{ [type]: value }] }]).toString();
  expect(name("utf8String", "root")).toBe("CN=root");
  const [one, two, three] = await Promise.all(
    ["CN=The Root", "CN=the  root", "CN=The Root, O=x"].map((subject) => pki.authority({ subject })),
  );
  const issuer = (made: pki.Made | undefined) => issuerOf(new X509Certificate(made?.pem ?? ""));
  expect(issuer(one)).toBe(issuer(two));
  expect(issuer(one)).not.toBe(issuer(three));
});

test("bytes of any kind are read or refused, never more than there is", async () => {
  const good = der(await pki.crl(await pki.authority()));
  const parse = (bytes: Buffer) => {
    try {
      parseRevocationList(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
      expect(error).not.toBeInstanceOf(RangeError);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => parse(Buffer.from(bytes))));
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      const bad = Buffer.from(good);
      bad[at] = byte;
      parse(bad);
    }),
  );
  for (let length = 0; length < good.length; length++) {
    expect(() => parseRevocationList(good.subarray(0, length))).toThrow();
  }
  expect(() => [...derElements(Buffer.from([0x30, 0x85, 1, 1, 1, 1, 1]))]).toThrow("bad length");
  expect(() => [...derElements(Buffer.from([0x30, 0x80, 0, 0]))]).toThrow("bad length");
});

test("a long list is read quickly", async () => {
  const entry = (serial: number) => {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(serial + 0x10000000);
    return Buffer.concat([
      Buffer.from([0x30, 21, 2, 4]),
      number,
      Buffer.from("\x17\x0d260101000000Z", "latin1"),
    ]);
  };
  const tlv = (tag: number, content: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    return Buffer.concat([Buffer.from([tag, 0x84]), length, content]);
  };
  const empty = Buffer.from([0x30, 0]);
  const time = Buffer.from("\x17\x0d260101000000Z", "latin1");
  const entries = Buffer.concat(Array.from({ length: 100_000 }, (_, serial) => entry(serial)));
  const list = tlv(0x30, tlv(0x30, Buffer.concat([empty, empty, time, time, tlv(0x30, entries)])));
  const start = performance.now();
  expect(parseRevocationList(list).serials.size).toBe(100_000);
  console.log(`100,000 revocations read in ${(performance.now() - start).toFixed(0)} ms`);
});
