import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { tlsInit } from "../../src/cli/tls-init.ts";
import { type Folder, folder, handshake, openDoor } from "./door.ts";

const made: Folder[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.remove();
});
function fresh(): string {
  const one = folder();
  made.push(one);
  return join(one.path, "tls");
}
const text = (path: string) => readFileSync(path, "utf8");

test("what it makes serves: TLS 1.3 with the client known by its name", async () => {
  const files = await tlsInit({ dir: fresh(), client: "spiffe://dev/ann" });
  await using door = await openDoor({
    cert: text(files.serverCert),
    key: text(files.serverKey),
    ca: text(files.caCert),
    root: text(files.caCert),
    mode: "required",
  });
  expect(door.log.filter((line) => !line.startsWith("info"))).toEqual([]);
  const client = { cert: text(files.clientCert), key: text(files.clientKey) };
  expect(await door.whoami(client)).toBe("spiffe://dev/ann");
  for (const servername of ["localhost", undefined]) {
    const socket = await handshake(door, { ca: text(files.caCert), servername, ...client });
    expect([socket.authorized, socket.getProtocol()]).toEqual([true, "TLSv1.3"]);
    socket.destroy();
  }
});

test("keys are for their owner alone, and a certificate does one thing", async () => {
  const dir = fresh();
  const files = await tlsInit({ dir, names: ["slots.example", "10.0.0.1", "::1"], client: "pay.example" });
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  for (const path of [files.caKey, files.serverKey, files.clientKey])
    expect(statSync(path).mode & 0o777).toBe(0o600);
  const [ca, server, client] = [files.caCert, files.serverCert, files.clientCert].map(
    (path) => new X509Certificate(text(path)),
  );
  expect([ca?.ca, server?.ca, client?.ca]).toEqual([true, false, false]);
  expect(server?.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(client?.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  expect(server?.checkHost("slots.example")).toBe("slots.example");
  expect(server?.checkIP("10.0.0.1")).toBe("10.0.0.1");
  expect(server?.checkIP("::1")).toBe("::1");
  expect(client?.subjectAltName).toBe("DNS:pay.example");
  expect(new Set([ca, server, client].map((one) => one?.serialNumber)).size).toBe(3);
});

test("it never replaces a file, and makes none when a name is wrong", async () => {
  const dir = fresh();
  await expect(tlsInit({ dir, names: ["not a name"] })).rejects.toThrow(
    "neither a host name nor an IP address",
  );
  const files = await tlsInit({ dir });
  const before = text(files.caKey);
  await expect(tlsInit({ dir })).rejects.toThrow("is there already");
  expect(text(files.caKey)).toBe(before);
});
