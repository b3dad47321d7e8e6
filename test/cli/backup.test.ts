import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { needs } from "../guarantees/support/needs.ts";
import { ServerProcess } from "../support/server-process.ts";
import { Wire } from "../support/wire.ts";
import { PATIENT, Slots } from "./slots.ts";

const CANARY = "canary-5f1c9e";

describe("slots backup", PATIENT, () => {
  let server: ServerProcess;
  let slots: Slots;
  let offline: Slots;
  let wire: Wire;
  let key: readonly string[];
  beforeAll(async () => {
    server = await ServerProcess.start();
    slots = new Slots(server);
    offline = new Slots();
    wire = new Wire(server.address, server.adminToken);
    key = ["--master-key-file", join(server.dataDir, "master.key")];
    for (let at = 0n; at < 20n; at++) await wire.put(`app/db${at % 4n}`, at, `${CANARY} ${at}`);
    await slots.ok(["backup", "create", "-o", "store.backup"]);
  });
  afterAll(async () => {
    wire?.close();
    slots?.dispose();
    offline?.dispose();
    await server?.dispose();
  });
  const backup = () => slots.path("store.backup");

  it("writes one sealed file of mode 0600 and does not replace another", async () => {
    expect(statSync(backup()).mode & 0o777).toBe(0o600);
    const bytes = readFileSync(backup());
    expect(bytes.includes(CANARY)).toBe(false);
    expect(bytes.includes(server.adminToken)).toBe(false);
    const again = await slots.run(["backup", "create", "-o", "store.backup"]);
    expect([again.status, again.stderr]).toEqual([6, expect.stringContaining("--force")]);
    expect(readFileSync(backup())).toEqual(bytes);
    expect(readdirSync(slots.folder)).toEqual(["store.backup"]);
  });

  it("opens every record to verify, and restores to a store with a new epoch that a server serves", async () => {
    expect(await offline.json(["backup", "verify", backup(), ...key])).toMatchObject({
      ok: true,
      secrets: 4,
      records: 20,
    });
    const dataDir = offline.path("restored");
    const report = await offline.json(["backup", "restore", backup(), "--data-dir", dataDir, ...key]);
    expect(readdirSync(dataDir)).toEqual(["store.db"]);
    const { epoch } = await slots.json(["info"]);
    expect(report.epoch).toBe(epoch);
    expect(report.newEpoch).not.toBe(epoch);

    const restored = await ServerProcess.start({ dataDir, args: key });
    try {
      // The token of then still works; it was not in the backup, only its hash.
      const at = ["--address", restored.address];
      expect(await slots.ok([...at, "get", "app/db3"])).toBe(`${CANARY} 19`);
      expect(await slots.ok([...at, "at", "app/db3", "4"])).toBe(`${CANARY} 3`);
      expect(await slots.json([...at, "info"])).toMatchObject({ epoch: report.newEpoch });
    } finally {
      await restored.stop();
    }
    const twice = await offline.run(["backup", "restore", backup(), "--data-dir", dataDir, ...key]);
    expect([twice.status, twice.stderr]).toEqual([1, expect.stringContaining("empty directory")]);
  });

  it("refuses a backup that is cut, damaged or no backup, and restores nothing of it", async () => {
    const whole = readFileSync(backup());
    const flipped = (at: number) => {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return bytes;
    };
    const bad: Record<string, Buffer> = {
      empty: Buffer.alloc(0),
      "cut in its header": whole.subarray(0, 60),
      "cut in the database": whole.subarray(0, 50_000),
      "without its last byte": whole.subarray(0, -1),
      "with a byte more": Buffer.concat([whole, Buffer.from("x")]),
      "flipped in its first line": flipped(3),
      "flipped in its header": flipped(40),
      "flipped in the database": flipped(whole.length >> 1),
      "flipped in the checksum": flipped(whole.length - 10),
    };
    for (const [what, bytes] of Object.entries(bad)) {
      writeFileSync(offline.path("bad"), bytes);
      const ran = await offline.run(["backup", "verify", "bad", ...key]);
      expect([what, ran.status, ran.stderr]).toEqual([what, 8, expect.stringContaining("can't be used")]);
    }
    const restore = await offline.run(["backup", "restore", "bad", "--data-dir", "nothing", ...key]);
    expect(restore.status).toBe(8);
    expect(existsSync(offline.path("nothing/store.db"))).toBe(false);
    expect(readdirSync(offline.path("nothing"))).toEqual([]);
  });

  it("needs the store's master key", async () => {
    await offline.ok(["key", "generate", "--file", "other.key"]);
    const ran = await offline.run(["backup", "verify", backup(), "--master-key-file", "other.key"]);
    expect([ran.status, ran.stderr]).toEqual([6, expect.stringContaining("needs the master key mk_")]);
    const none = await offline.run(["backup", "verify", backup()]);
    expect([none.status, none.stderr]).toEqual([6, expect.stringContaining("no such file")]);
  });

  it("encrypts so that an age identity opens it, and nobody else", async () => {
    const identity = await generateIdentity();
    writeFileSync(offline.path("identity"), `# created: now\n${identity}\n`);
    writeFileSync(offline.path("stranger"), `${await generateIdentity()}\n`);
    const file = slots.path("store.backup.age");
    await slots.ok(["backup", "create", "-o", file, "--age-recipient", await identityToRecipient(identity)]);
    expect(readFileSync(file).includes("SECRET-SLOTS-BACKUP")).toBe(false);
    const open = (...flags: string[]) => offline.run(["backup", "verify", file, ...key, ...flags]);
    expect((await open("--age-identity", "identity")).text).toContain("ok: 20 records");
    expect((await open()).stderr).toContain("--age-identity");
    expect((await open("--age-identity", "stranger")).status).toBe(6);
    const whole = readFileSync(file);
    writeFileSync(offline.path("cut.age"), whole.subarray(0, 70_000));
    const cut = await offline.run(["backup", "verify", "cut.age", ...key, "--age-identity", "identity"]);
    expect(cut.status).toBe(8);
    expect((await slots.run(["backup", "create", "-o", "x", "--age-recipient", "age1no"])).status).toBe(7);
    expect(existsSync(slots.path("x"))).toBe(false);

    if (!needs("age")) return;
    const plain = execFileSync("age", ["--decrypt", "--identity", offline.path("identity"), file]);
    writeFileSync(offline.path("plain"), plain);
    expect((await offline.run(["backup", "verify", "plain", ...key])).text).toContain("ok: 20 records");
  });
});
