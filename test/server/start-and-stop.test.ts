import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, describe, expect, it } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { failure, text, Wire } from "../support/wire.ts";

const folders: string[] = [];
const folder = () => {
  const made = mkdtempSync(join(tmpdir(), "slots-start-"));
  folders.push(made);
  return made;
};
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

/** A store with one secret, whose server has ended. */
async function store(): Promise<string> {
  const dataDir = folder();
  const server = await ServerProcess.start({ dataDir });
  const wire = new Wire(server.address, server.adminToken);
  await wire.put("kept", 1n, "value");
  wire.close();
  await server.stop();
  return dataDir;
}

/** Name and digest of every file but the audit log's, whose chain a start begins anew. */
function digests(dataDir: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(dataDir)
      .filter((name) => !["audit", "store.bell"].includes(name))
      .map((name) => [
        name,
        createHash("sha256")
          .update(readFileSync(join(dataDir, name)))
          .digest("hex"),
      ]),
  );
}

/** Starts, expects one line of reason and a non-zero end, and that nothing was changed. */
async function refusesToStart(
  dataDir: string,
  says: RegExp,
  args: readonly string[] = [],
  env = {},
): Promise<void> {
  const before = digests(dataDir);
  const { code, output } = await ServerProcess.startFailing({ dataDir, args, env });
  expect(code, output).not.toBe(0);
  const lines = output
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("{"));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(says);
  expect(digests(dataDir)).toEqual(before);
}

describe("a first start", () => {
  it("makes a key and a token that only their owner can read, and says where", async () => {
    const dataDir = join(folder(), "data");
    const server = await ServerProcess.start({ dataDir });
    const mode = (file: string) => statSync(join(dataDir, file)).mode & 0o777;
    expect([mode("."), mode("master.key"), mode("admin.token"), mode("store.db")]).toEqual([
      0o700, 0o600, 0o600, 0o600,
    ]);
    expect(server.output).toContain("admin.token");
    expect(server.output).not.toContain(server.adminToken);
    const again = await server.stop().then(() => ServerProcess.start({ dataDir }));
    const wire = new Wire(again.address, again.adminToken);
    await wire.put("a", 0n, "v");
    wire.close();
    await again.stop();
  });
});

describe("a start that can't go on", () => {
  it("names an unknown setting, wherever it stands", async () => {
    const dataDir = folder();
    await refusesToStart(dataDir, /SLOTS_DATADIR/, [], { SLOTS_DATADIR: "x" });
    const config = join(folder(), "slots.conf");
    writeFileSync(config, "listen = 127.0.0.1:0\ndatadir = /tmp\n");
    await refusesToStart(dataDir, /slots\.conf:2: 'datadir'/, ["--config", config]);
    await refusesToStart(dataDir, /--max-value-bytes/, ["--max-value-bytes", "2000000"]);
  });

  it("names a port in use", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const { code, output } = await ServerProcess.startFailing({
      dataDir: folder(),
      listen: `127.0.0.1:${port}`,
    });
    expect(code).toBe(1);
    expect(output).toMatch(/^slots: can't listen on .* in use/m);
    taken.close();
  });

  it("refuses an address that others reach without TLS", async () => {
    await refusesToStart(folder(), /TLS is off/, ["--listen", "0.0.0.0:0"]);
  });

  it("refuses a store whose master key is gone or another one", async () => {
    const dataDir = await store();
    const key = readFileSync(join(dataDir, "master.key"));
    rmSync(join(dataDir, "master.key"));
    await refusesToStart(dataDir, /master\.key is missing/);
    const other = await store();
    await refusesToStart(dataDir, /needs the master key mk_/, [
      "--master-key-file",
      join(other, "master.key"),
    ]);
    writeFileSync(join(dataDir, "master.key"), key, { mode: 0o644 });
    chmodSync(join(dataDir, "master.key"), 0o644);
    await refusesToStart(dataDir, /chmod 600/);
  });

  it("refuses a store of a newer version, one cut short and what is no store", async () => {
    const newer = await store();
    const db = new Database(join(newer, "store.db"));
    db.pragma("user_version = 9999");
    db.close();
    await refusesToStart(newer, /schema version 9999/);

    const cut = await store();
    truncateSync(join(cut, "store.db"), 5000);
    await refusesToStart(cut, /store\.db/);

    const none = await store();
    writeFileSync(join(none, "store.db"), "this is no database, however long it may be".repeat(200));
    await refusesToStart(none, /store\.db/);
  });
});

describe("an end", () => {
  it("ends watches with UNAVAILABLE, finishes calls, and exits 0 in time", async () => {
    const server = await ServerProcess.start();
    const wires = Array.from({ length: 4 }, () => new Wire(server.address, server.adminToken));
    const wireOf = (index: number) => wires[index % wires.length] as Wire;
    await wireOf(0).put("end", 0n, "v");
    const watches = Array.from({ length: 100 }, (_, index) => wireOf(index).watch("end"));
    for (const watch of watches) await watch.take();
    const calls = Array.from({ length: 50 }, (_, index) =>
      wireOf(index)
        .put(`end/${index}`, 0n, "v")
        .then(
          () => "OK",
          (error: { code?: string }) => error.code,
        ),
    );
    const since = Date.now();
    const exit = server.stop();
    const ends = await Promise.all(watches.map((watch) => failure(watch.take())));
    expect(new Set(ends.map(({ code, reason }) => `${code} ${reason}`))).toEqual(
      new Set(["UNAVAILABLE DRAINING"]),
    );
    const answers = await Promise.all(calls);
    for (const answer of answers) expect(["OK", "UNAVAILABLE"]).toContain(answer);
    expect(await exit).toEqual({ code: 0, signal: null });
    expect(Date.now() - since).toBeLessThan(15_000);
    for (const wire of wires) wire.close();

    const again = await ServerProcess.start({ dataDir: server.dataDir });
    const wire = new Wire(again.address, again.adminToken);
    for (const [index, answer] of answers.entries()) {
      if (answer === "OK") expect(text((await wire.get(`end/${index}`)).value)).toBe("v");
    }
    wire.close();
    await again.dispose();
  });
});

describe("a copied store", () => {
  it("served with --new-epoch resets the tokens of its original; without, a fork is told by its commits", async () => {
    const dataDir = await store();
    const first = await ServerProcess.start({ dataDir });
    const wire = new Wire(first.address, first.adminToken);
    const stream = wire.watch("kept");
    const { resumeToken, epoch } = await stream.take();
    stream.cancel();
    wire.close();
    await first.stop();
    const copy = folder();
    cpSync(dataDir, copy, { recursive: true });

    const renewed = await ServerProcess.start({ dataDir: copy, args: ["--new-epoch"] });
    const other = new Wire(renewed.address, renewed.adminToken);
    const resumed = other.watch("kept", { resumeToken });
    const reset = await resumed.take();
    expect(reset.event.case).toBe("historyReset");
    expect(reset.epoch).not.toBe(epoch);
    expect((await resumed.take()).event.case).toBe("current");
    resumed.cancel();
    other.close();
    await renewed.stop();
  });
});
