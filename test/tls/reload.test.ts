import { once } from "node:events";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { getCiphers } from "node:tls";
import type { ClientReadableStream, StatusObject } from "@grpc/grpc-js";
import { beforeAll, describe, expect, test } from "vitest";
import { createTls } from "../../src/server/tls/tls.ts";
import { type Door, type DoorOptions, folder, handshake, openDoor, until } from "./door.ts";
import * as pki from "./pki.ts";
import { HOUR, type Made, uri, x509 } from "./pki.ts";

let root: Made;
let other: Made;
let first: Made;
let second: Made;
let pay: Made;
let shop: Made;
const files = (made: Made, ...more: Made[]) => ({
  cert: [made, ...more].map((one) => one.pem).join(""),
  key: made.keyPem,
});

beforeAll(async () => {
  root = await pki.authority({ subject: "CN=root" });
  other = await pki.authority({ subject: "CN=other" });
  first = await pki.server(root);
  second = await pki.server(root);
  pay = await pki.make({ issuer: root, names: uri("spiffe://prod/pay") });
  shop = await pki.make({ issuer: root, names: uri("spiffe://prod/shop") });
});

function door(options: Partial<DoorOptions> = {}): Promise<Door> {
  return openDoor({ cert: first.pem, key: first.keyPem, root: root.pem, ca: root.pem, ...options });
}

/** The serial number of the certificate that a new connection is shown. */
async function shownBy(open: Door): Promise<string | undefined> {
  const socket = await handshake(open, { ca: root.pem });
  const serial = socket.getPeerX509Certificate()?.serialNumber;
  socket.destroy();
  return serial;
}
const serialOf = (made: Made) => made.certificate.serialNumber.toUpperCase();

/** A stream, what came of it so far, and how it ended. */
function follow(stream: ClientReadableStream<Buffer>) {
  const seen: string[] = [];
  stream.on("data", (data) => seen.push(String(data)));
  stream.on("error", () => {});
  const ended = new Promise<StatusObject>((resolve) => stream.once("status", resolve));
  return { seen, ended, stream };
}

describe("the certificate", () => {
  test("is swapped under load: new handshakes see the new one, no call fails, no stream ends", async () => {
    await using open = await door();
    const steady = open.client(files(pay));
    const stream = follow(steady.watch());
    await until(() => stream.seen.length > 0, "the stream begins");
    const answers = new Map<string, number>();
    let stop = false;
    const count = (answer: string) => answers.set(answer, (answers.get(answer) ?? 0) + 1);
    const callers = Array.from({ length: 8 }, async (_, index) => {
      while (!stop) count(index % 2 === 0 ? await steady.whoami() : await open.whoami(files(pay)));
    });
    for (const [swap, made] of [second, first, second, first, second].entries()) {
      open.files.write("server.key", made.keyPem);
      open.files.write("server.crt", made.pem);
      await until(async () => (await shownBy(open)) === serialOf(made), `swap ${swap} is seen`);
    }
    stop = true;
    await Promise.all(callers);
    expect([...answers.keys()]).toEqual(["spiffe://prod/pay"]);
    expect(answers.get("spiffe://prod/pay")).toBeGreaterThan(20);
    expect(stream.stream.destroyed).toBe(false);
  }, 60_000);

  test("is kept when the new pair does not match, with one line in the log, until it does", async () => {
    await using open = await door();
    open.files.write("server.crt", second.pem);
    const line =
      "error: TLS certificate not usable, what was last good stays in use: key: it does not belong to the certificate";
    await until(() => open.log.includes(line), "the mismatch is logged");
    open.tls.reload();
    expect(open.log.filter((entry) => entry === line)).toHaveLength(1);
    expect(await shownBy(open)).toBe(serialOf(first));
    expect(await open.whoami(files(pay))).toBe("spiffe://prod/pay");
    open.files.write("server.key", second.keyPem);
    await until(async () => (await shownBy(open)) === serialOf(second), "the pair matches");
    expect(open.log.at(-1)).toBe(
      `info: TLS certificate reloaded: serial ${serialOf(second)}, valid until ${second.certificate.notAfter.toISOString()}`,
    );
  });

  test("is read again when Kubernetes swaps the folder behind a symbolic link", async () => {
    const mount = folder();
    const put = (version: string, made: Made) => {
      mkdirSync(join(mount.path, version));
      writeFileSync(join(mount.path, version, "tls.crt"), made.pem);
      writeFileSync(join(mount.path, version, "tls.key"), made.keyPem);
      symlinkSync(version, join(mount.path, "..data_tmp"));
      renameSync(join(mount.path, "..data_tmp"), join(mount.path, "..data"));
    };
    put("..one", first);
    for (const name of ["tls.crt", "tls.key"]) symlinkSync(join("..data", name), join(mount.path, name));
    const log: string[] = [];
    const tls = createTls({
      certFile: join(mount.path, "tls.crt"),
      keyFile: join(mount.path, "tls.key"),
      clientCertificates: "none",
      report: (_level, message) => log.push(message),
      pollMs: 3600_000,
    });
    try {
      for (const [version, made] of [["..two", second] as const, ["..three", first] as const]) {
        put(version, made);
        await until(() => log.at(-1)?.includes(serialOf(made)) ?? false, `${version} is loaded`);
      }
      rmSync(join(mount.path, "..one"), { recursive: true });
      put("..four", second);
      await until(() => log.at(-1)?.includes(serialOf(second)) ?? false, "..four is loaded");
    } finally {
      tls.close();
      mount.remove();
    }
  });

  test("is found by the poll where no notification comes", async () => {
    const home = folder();
    const away = folder();
    const log: string[] = [];
    // A link to a link in another folder: only its end is watched besides the beginning.
    symlinkSync(away.write("real.crt", first.pem), join(away.path, "middle.crt"));
    symlinkSync(join(away.path, "middle.crt"), join(home.path, "server.crt"));
    const tls = createTls({
      certFile: join(home.path, "server.crt"),
      keyFile: home.write("server.key", first.keyPem),
      clientCertificates: "none",
      report: (_level, message) => log.push(message),
      pollMs: 20,
    });
    try {
      home.write("server.key", second.keyPem);
      away.write("real.crt", second.pem);
      await until(() => log.at(-1)?.includes(serialOf(second)) ?? false, "the new pair is loaded");
    } finally {
      tls.close();
      home.remove();
      away.remove();
    }
  });

  test("that is about to end or has ended is used, with a warning", async () => {
    const soon = await pki.server(root, { until: new Date(Date.now() + HOUR) });
    await using open = await door({ cert: soon.pem, key: soon.keyPem });
    expect(open.log[1]).toMatch(/^warn: certificate: serial .* expires /);
    const late = await pki.server(root, {
      from: new Date(Date.now() - 2 * HOUR),
      until: new Date(Date.now() - HOUR),
    });
    open.files.write("server.key", late.keyPem);
    open.files.write("server.crt", late.pem);
    await until(
      () => open.log.at(-1) === `warn: certificate: serial ${serialOf(late)} has expired`,
      "the warning",
    );
  });
});

describe("a set of files that can't be used", () => {
  const LEFT = /^error: TLS (?:certificate|client authorities) not usable, what was last good stays in use: /;
  test.for<[string, string, () => string | Promise<string>, RegExp]>([
    ["a certificate of noise", "server.crt", () => "noise", /^certificate: the file holds none$/],
    [
      "a cut certificate",
      "server.crt",
      () => truncated(first.pem),
      /^certificate: a certificate can't be read$/,
    ],
    ["a key of noise", "server.key", () => "noise", /^key: not a private key in PEM/],
    ["an authority of noise", "ca.crt", () => "noise", /^ca: the file holds no certificate$/],
    [
      "a client's certificate as an authority",
      "ca.crt",
      () => root.pem + pay.pem,
      /^ca: .* is no authority$/,
    ],
    [
      "an authority with a weak key",
      "ca.crt",
      async () => root.pem + (await pki.authority({ key: "rsa1024" })).pem,
      /^ca: the key of serial .* is too weak$/,
    ],
    ["an authority without a list", "ca.crt", () => root.pem + other.pem, /^crl: no list for the authority/],
    ["a list of noise", "ca.crl", () => "noise", /^crl: the file holds no list$/],
    ["a cut list", "ca.crl", async () => truncated(await pki.crl(root)), /^crl: a list can't be read$/],
  ])("%s is refused and logged, and the last good one serves", async ([, name, text, why]) => {
    await using open = await door({ crl: await pki.crl(root) });
    open.files.write(name, await text());
    await until(() => LEFT.test(open.log.at(-1) ?? ""), "the refusal is logged");
    expect(open.log.at(-1)?.replace(LEFT, "")).toMatch(why);
    expect(await open.whoami(files(pay))).toBe("spiffe://prod/pay");
    expect(await shownBy(open)).toBe(serialOf(first));
  });

  test("that is missing is logged once and found when it is back", async () => {
    await using open = await door();
    rmSync(join(open.files.path, "server.key"));
    await until(() => open.log.at(-1)?.includes("ENOENT") ?? false, "the missing file is logged");
    open.tls.reload();
    expect(open.log.filter((line) => line.includes("ENOENT"))).toHaveLength(1);
    expect(await open.whoami(files(pay))).toBe("spiffe://prod/pay");
    open.files.write("server.key", second.keyPem);
    open.files.write("server.crt", second.pem);
    await until(async () => (await shownBy(open)) === serialOf(second), "the files are back");
  });

  test("keeps a server from starting", async () => {
    const start = (options: Partial<DoorOptions>) =>
      door(options).then((open) => open[Symbol.asyncDispose]());
    await expect(start({ key: second.keyPem })).rejects.toThrow("key: it does not belong to the certificate");
    await expect(start({ key: "noise" })).rejects.toThrow("key: not a private key");
    await expect(start({ crl: "noise" })).rejects.toThrow("crl: the file holds no list");
    const settings = { certFile: "/none/a", keyFile: "/none/b", report: () => {} };
    expect(() => createTls({ ...settings, clientCertificates: "none" })).toThrow("ENOENT");
    expect(() => createTls({ ...settings, clientCertificates: "optional" })).toThrow("need a CA file");
    expect(() => createTls({ ...settings, clientCertificates: "none", caFile: "/none/c" })).toThrow(
      "no effect",
    );
  });
});

describe("a client certificate is revoked while its connection is open", () => {
  /** Streams of pay and shop begin, the files change, and pay's must end while shop's goes on. */
  async function endsFor(open: Door, client: ReturnType<typeof files>, change: () => Promise<void> | void) {
    const caller = open.client(client);
    const bystander = open.client(files(shop));
    const gone = follow(caller.watch());
    const stays = follow(bystander.watch());
    await until(() => gone.seen.length > 0 && stays.seen.length > 0, "both streams begin");
    await change();
    expect(await gone.ended).toMatchObject({ code: 16 });
    expect(await caller.whoami()).toBe("UNAUTHENTICATED(CERT_REVOKED)");
    expect(await open.whoami(client)).toBe("UNAVAILABLE()");
    expect(await bystander.whoami()).toBe("spiffe://prod/shop");
    expect(stays.stream.destroyed).toBe(false);
  }

  test("by a new list: its streams and calls end within a second, others go on (W12)", async () => {
    await using open = await door({ crl: await pki.crl(root) });
    const idle = await handshake(open, { ca: root.pem, ...files(pay) });
    const cut = new Promise((resolve) => idle.resume().once("close", resolve));
    let from = 0;
    await endsFor(open, files(pay), async () => {
      const list = await pki.crl(root, { revoked: [pay] });
      from = performance.now();
      open.files.write("ca.crl", list);
      await until(
        () => open.log.some((line) => line.includes("lost the trust")),
        "the revocation is noticed",
      );
      console.log(`noticed after ${(performance.now() - from).toFixed(0)} ms`);
    });
    // What has no stream to end is cut a little later.
    await cut;
  });

  test("by a new list, though the server's own pair is broken at that time", async () => {
    await using open = await door({ crl: await pki.crl(root) });
    open.files.write("server.crt", second.pem);
    await until(() => open.log.at(-1)?.includes("does not belong") ?? false, "the broken pair is noticed");
    await endsFor(open, files(pay), async () => {
      open.files.write("ca.crl", await pki.crl(root, { revoked: [pay] }));
    });
    expect(await shownBy(open)).toBe(serialOf(first));
  });

  test("by a list in the file's beginning: it never got in", async () => {
    await using open = await door({ crl: await pki.crl(root, { revoked: [pay] }) });
    expect(await open.whoami(files(pay))).toBe("UNAVAILABLE()");
    expect(await open.whoami(files(shop))).toBe("spiffe://prod/shop");
  });

  test("by a list of another authority than the first in the file", async () => {
    const guest = await pki.make({ issuer: other, names: uri("spiffe://other/guest") });
    const lists = async (revoked: Made[]) => (await pki.crl(root)) + (await pki.crl(other, { revoked }));
    await using open = await door({ ca: root.pem + other.pem, crl: await lists([]) });
    await endsFor(open, files(guest), async () => void open.files.write("ca.crl", await lists([guest])));
  });

  test("by taking its authority away", async () => {
    const guest = await pki.make({ issuer: other, names: uri("spiffe://other/guest") });
    await using open = await door({ ca: root.pem + other.pem });
    await endsFor(open, files(guest), () => void open.files.write("ca.crt", root.pem));
  });

  test("by revoking an intermediate that only the client has", async () => {
    const between = await pki.authority({ issuer: root });
    const guest = await pki.make({ issuer: between, names: uri("spiffe://prod/guest") });
    const lists = async (revoked: Made[]) => (await pki.crl(root, { revoked })) + (await pki.crl(between));
    await using open = await door({ crl: await lists([]) });
    await endsFor(open, files(guest, between), async () => {
      open.files.write("ca.crl", await lists([between]));
    });
  });

  test("not by a new list of the same, a renewed authority, or another's revocation", async () => {
    const between = await pki.authority({ issuer: root });
    const guest = await pki.make({ issuer: between, names: uri("spiffe://prod/guest") });
    const lost = await pki.make({ issuer: between });
    const lists = async (revoked: Made[]) => (await pki.crl(root)) + (await pki.crl(between, { revoked }));
    await using open = await door({ crl: await lists([]) });
    const streams = [
      follow(open.client(files(pay)).watch()),
      follow(open.client(files(guest, between)).watch()),
    ];
    await until(() => streams.every((stream) => stream.seen.length > 0), "the streams begin");
    const renewed = await renew(root);
    for (const [name, text] of [
      ["ca.crl", await lists([])],
      ["ca.crl", await lists([lost])],
      ["ca.crt", renewed.pem],
    ] as const) {
      const before = open.log.length;
      open.files.write(name, text);
      await until(() => open.log.slice(before).some((line) => line.includes("reloaded")), `${name} is read`);
    }
    expect(streams.map((stream) => stream.stream.destroyed)).toEqual([false, false]);
    expect(open.log.filter((line) => line.includes("lost the trust"))).toEqual([]);
    expect(await open.whoami(files(pay))).toBe("spiffe://prod/pay");
  });

  test("an overdue list refuses everybody, and says so", async () => {
    await using open = await door({ crl: await pki.crl(root, { next: new Date(Date.now() - HOUR) }) });
    expect(open.log[1]).toBe(
      "warn: crl: a list is overdue, so every certificate of its authority is refused",
    );
    expect(await open.whoami(files(pay))).toBe("UNAVAILABLE()");
    expect([...open.refused.values()]).toContain("CRL_HAS_EXPIRED");
  });

  test("a list that another authority signed refuses everybody", async () => {
    await using open = await door({ crl: await pki.crl(root, { signer: other }) });
    expect(await open.whoami(files(pay))).toBe("UNAVAILABLE()");
    expect([...open.refused.values()]).toContain("CRL_SIGNATURE_FAILURE");
  });

  test("one that ends in the middle of a connection proves nothing any more", async () => {
    let now = Date.now();
    await using open = await door({ now: () => now });
    const client = open.client(files(pay));
    expect(await client.whoami()).toBe("spiffe://prod/pay");
    now = pay.certificate.notAfter.getTime() - 1;
    expect(await client.whoami()).toBe("spiffe://prod/pay");
    now++;
    expect(await client.whoami()).toBe("UNAUTHENTICATED(CERT_HAS_EXPIRED)");
  });
});

describe("a handshake", () => {
  test("is TLS 1.3, or 1.2 with authenticated ciphers, and nothing older", async () => {
    await using open = await door();
    const seen = [];
    for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
      const socket = await handshake(open, { ca: root.pem, maxVersion });
      seen.push([socket.getProtocol(), socket.getCipher().name.includes("GCM"), socket.alpnProtocol]);
      socket.destroy();
    }
    expect(seen).toEqual([
      ["TLSv1.3", true, "h2"],
      ["TLSv1.2", true, "h2"],
    ]);
    const old = { ca: root.pem, minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const;
    await expect(handshake(open, old)).rejects.toThrow();
  });

  /** What is agreed on by a client that takes anything, of one kind of suites or groups at a time. */
  const agreed = async (open: Door, offer: readonly (readonly [string, object])[]) => {
    const taken: string[] = [];
    for (const [name, options] of offer) {
      const socket = await handshake(open, { ca: root.pem, ...options }).catch(() => undefined);
      if (socket === undefined) continue;
      taken.push(name);
      socket.destroy();
    }
    return taken;
  };

  test("takes no suite of TLS 1.2 but ECDHE with AEAD", async () => {
    const rsa = await pki.server(root, { key: "rsa2048" });
    const suites = getCiphers().filter((name) => !name.startsWith("tls_"));
    const offer = suites.map((name) => {
      const ciphers = `${name.toUpperCase()}:@SECLEVEL=0`;
      return [name, { ciphers, maxVersion: "TLSv1.2", ecdhCurve: "auto" }] as const;
    });
    const aead = ["aes128-gcm-sha256", "aes256-gcm-sha384", "chacha20-poly1305"];
    for (const [kind, made] of [
      ["ecdsa", first],
      ["rsa", rsa],
    ] as const) {
      await using open = await door({ cert: made.pem, key: made.keyPem });
      expect((await agreed(open, offer)).sort()).toEqual(aead.map((each) => `ecdhe-${kind}-${each}`));
    }
  });

  test("takes no key exchange below 128 bits, and one that holds against quantum computers where both know it", async () => {
    await using open = await door();
    const groups = ["X25519", "P-256", "P-384", "P-224", "secp256k1", "ffdhe2048", "ffdhe3072"];
    const offer = groups.map((name) => [name, { ecdhCurve: name }] as const);
    expect(await agreed(open, offer)).toEqual(["X25519", "P-256", "P-384"]);
    const hybrid = { ecdhCurve: "X25519MLKEM768" };
    const known = Number.parseFloat(process.versions.openssl) >= 3.5;
    expect(await agreed(open, [["X25519MLKEM768", hybrid]])).toEqual(known ? ["X25519MLKEM768"] : []);
  });

  test("is never a resumed one, which would skip the checks of today", async () => {
    await using open = await door({ crl: await pki.crl(root) });
    for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
      const one = await handshake(open, { ca: root.pem, maxVersion, ...files(pay) });
      let session = one.getSession();
      one.on("session", (later) => {
        session = later;
      });
      await once(one, "data");
      one.destroy();
      const two = await handshake(open, {
        ca: root.pem,
        maxVersion,
        ...files(pay),
        ...(session && { session }),
      });
      expect(two.isSessionReused()).toBe(false);
      two.destroy();
    }
  });

  test("that is over, done or not, frees its connection", async () => {
    await using open = await door();
    const sockets = await Promise.all(Array.from({ length: 10 }, () => handshake(open, { ca: root.pem })));
    const noise = connect({ host: "127.0.0.1", port: open.port });
    noise.on("error", () => {});
    noise.write("GET / HTTP/1.1\r\n\r\n");
    await until(() => open.connections() >= 10, "the connections are there");
    for (const socket of sockets) socket.destroy();
    await until(() => open.connections() === 0, "the connections are gone");
  });

  test("without HTTP/2 is cut", async () => {
    await using open = await door();
    const socket = await handshake(open, { ca: root.pem, ALPNProtocols: [] });
    await new Promise((resolve) => socket.resume().once("close", resolve));
    expect([...open.refused.values()]).toEqual(["NO_HTTP2"]);
  });

  test("of a client with a certificate is fine where none is asked for", async () => {
    await using open = await openDoor({ ...files(first), root: root.pem });
    expect(await open.whoami(files(pay))).toBe("UNAUTHENTICATED(nobody)");
  });

  test("without a certificate is taken when it is optional, and cut when it is required", async () => {
    await using optional = await door({ mode: "optional" });
    expect(await optional.whoami()).toBe("UNAUTHENTICATED(nobody)");
    await using required = await door({ mode: "required" });
    expect(await required.whoami()).toBe("UNAVAILABLE()");
    expect([...required.refused.values()]).toContain("CERTIFICATE_REQUIRED");
  });
});

function truncated(pem: string): string {
  const lines = pem.trim().split("\n");
  return [...lines.slice(0, 2), ...lines.slice(-1), ""].join("\n");
}

/** Another certificate for the same name and key. */
async function renew(made: Made): Promise<Made> {
  if (made.signingKey === undefined) throw new Error("no key to sign with");
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: "42",
    subject: made.certificate.subject,
    issuer: made.certificate.subject,
    notBefore: new Date(Date.now() - HOUR),
    notAfter: new Date(Date.now() + 2000 * HOUR),
    publicKey: made.certificate.publicKey,
    signingKey: made.signingKey,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" } as never,
    extensions: made.certificate.extensions,
  });
  return { ...made, certificate, pem: `${certificate.toString("pem")}\n` };
}
