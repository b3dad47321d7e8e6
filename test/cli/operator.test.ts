import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";
import { PATIENT, Slots } from "./slots.ts";

describe("slots key, audit, tls, info", PATIENT, () => {
  let server: ServerProcess;
  let slots: Slots;
  let wire: Wire;
  beforeAll(async () => {
    server = await ServerProcess.start();
    slots = new Slots(server);
    wire = new Wire(server.address, server.adminToken);
    for (let slot = 0n; slot < 5n; slot++) await wire.put("app/db", slot, `v${slot}`);
  });
  afterAll(async () => {
    wire?.close();
    slots?.dispose();
    await server?.dispose();
  });

  it("rotates the master key from a new one to the end of the old one", async () => {
    const keyFile = join(server.dataDir, "master.key");
    const { keyId } = await slots.json(["key", "generate", "--file", keyFile]);
    const nothing = await slots.run(["key", "rotate"]);
    expect([nothing.status, nothing.stderr]).toEqual([6, expect.stringContaining("restart")]);
    const { dataDir } = server;
    await server.stop();
    server = await ServerProcess.start({ dataDir });
    const at = ["--address", server.address];
    expect(await slots.ok([...at, "key", "rotate"])).toBe(
      `${keyId} is the primary key; 5 records were rewrapped\n`,
    );
    const lines = (await slots.ok([...at, "key", "list", "--output", "json"])).trim().split("\n");
    const keys = lines.map((line) => JSON.parse(line));
    expect(keys.find((key) => key.keyId === keyId)).toMatchObject({ primary: true, wrappedCount: "5" });
    const old = keys.find((key) => key.keyId !== keyId);
    expect(old).toMatchObject({ primary: false, wrappedCount: "0", loaded: true });
    expect((await slots.run([...at, "key", "retire", String(keyId)])).status).toBe(6);
    await slots.ok([...at, "key", "retire", old.keyId]);
    expect(await slots.ok([...at, "get", "app/db"])).toBe("v4");
    // The key itself is nowhere but in its file.
    const [, secret] = /(slots-master-key-v1:\S+)\s*$/.exec(readFileSync(keyFile, "utf8")) ?? [];
    expect(server.output).not.toContain(secret);
  });

  it("searches and follows the audit log", async () => {
    const at = ["--address", server.address];
    await slots.ok([...at, "at", "app/db", "2"]);
    const found = await slots.ok([
      ...at,
      "audit",
      "search",
      "--secret",
      "app/db",
      "--slot",
      "2",
      "--since",
      "1h",
    ]);
    expect(found).toMatch(/token:admin {2}GetEffectiveAt {2}app\/db {2}slot=2 .*code=OK\n$/);
    expect(await slots.ok([...at, "audit", "search", "--until", "2001-01-01"])).toBe("");
    const tail = slots.start([
      ...at,
      "audit",
      "tail",
      "-n",
      "1",
      "-f",
      "--secret",
      "app/new",
      "--output",
      "json",
    ]);
    const fresh = new Wire(server.address, server.adminToken);
    // Put again and again, since nothing tells when the follower has begun.
    await waitFor("a record", async () => {
      await fresh.put("app/new", 0n, "x");
      return tail.stdout().includes("\n");
    });
    fresh.close();
    const [line = ""] = tail.stdout().split("\n");
    expect(JSON.parse(line)).toMatchObject({ secret: "app/new", rpc: "PutSlot", principal: "token:admin" });
    tail.child.kill("SIGTERM");
  });

  it("verifies the audit log offline, and finds what was edited, by file and line", async () => {
    const verify = () => slots.run(["audit", "verify", "--data-dir", server.dataDir]);
    const good = await verify();
    expect([good.status, good.text]).toEqual([
      0,
      expect.stringMatching(/^ok: \d+ records in \d+ chains?\n$/),
    ]);
    await server.stop();
    const folder = join(server.dataDir, "audit");
    const file =
      readdirSync(folder)
        .filter((name) => !name.startsWith("reserve"))
        .sort()[0] ?? "";
    const text = readFileSync(join(folder, file), "utf8");
    writeFileSync(join(folder, file), text.replace('"token:admin"', '"token:nobody"'));
    const bad = await verify();
    expect(bad.status).toBe(8);
    expect(bad.text).toMatch(new RegExp(`^${file}:\\d+: edited: `, "m"));
  });

  it("makes certificates that a server and the command line use", async () => {
    const offline = new Slots();
    try {
      await offline.ok(["tls", "init", "--dir", "tls"]);
      expect((await offline.run(["tls", "init", "--dir", "tls"])).stderr).toContain("is there already");
      const file = (name: string) => offline.path(`tls/${name}`);
      const tlsServer = await ServerProcess.start({
        args: [
          "--tls-cert",
          file("server.crt"),
          "--tls-key",
          file("server.key"),
          "--tls-client-ca",
          file("ca.crt"),
        ],
      });
      try {
        const at = ["--address", tlsServer.address, "--ca", "tls/ca.crt"];
        const token = ["--token-file", join(tlsServer.dataDir, "admin.token")];
        expect(await offline.json([...at, ...token, "info"])).toMatchObject({ features: ["tls"] });
        const identity = ["--cert", "tls/client.crt", "--key", "tls/client.key"];
        expect(await offline.json([...at, ...identity, "whoami"])).toMatchObject({
          principal: "spiffe://dev/me",
          method: "certificate",
        });
        const plain = await offline.run(["--address", tlsServer.address, ...token, "--timeout", "2", "info"]);
        expect(plain.status).toBe(5);
      } finally {
        await tlsServer.dispose();
      }
    } finally {
      offline.dispose();
    }
  });
});
