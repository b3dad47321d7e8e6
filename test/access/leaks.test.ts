import { randomBytes } from "node:crypto";
import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { generateToken } from "../../src/crypto/tokens.ts";
import { ServerProcess } from "../support/server-process.ts";
import { failure, Wire, type WireError } from "../support/wire.ts";
import { applyPolicies, grant, revokeToken } from "./rights.ts";

/**
 * S1: canaries go through everything that a server does with values and tokens, and then every byte that it left
 * anywhere is searched for them: raw, in base64, base64url and hex, at every offset that an encoding can have.
 */
const canary = (what: string) => `CANARY-${what}-${randomBytes(18).toString("hex")}-CANARY`;
const canaries = new Map<string, Buffer>();
const errors: WireError[] = [];
let server: ServerProcess;
let admin: Wire;
let metrics = "";

const plant = (what: string, value = canary(what)): string => {
  canaries.set(what, Buffer.from(value));
  return value;
};

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

beforeAll(async () => {
  metrics = `127.0.0.1:${await freePort()}`;
  server = await ServerProcess.start({ args: ["--metrics-listen", metrics, "--log-level", "debug"] });
  admin = new Wire(server.address, server.adminToken);
});

afterAll(async () => {
  admin?.close();
  await server?.dispose();
});

/** Every text in which the bytes could stand: base64 of them at each of three offsets, without the ends. */
function shapes(bytes: Buffer): [string, Buffer][] {
  const found: [string, Buffer][] = [
    ["raw", bytes],
    ["hex", Buffer.from(bytes.toString("hex"))],
    ["HEX", Buffer.from(bytes.toString("hex").toUpperCase())],
    ["utf16", Buffer.from(bytes.toString("latin1"), "utf16le")],
  ];
  for (const offset of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
    for (const encoding of ["base64", "base64url"] as const) {
      const text = shifted.toString(encoding).replace(/=+$/, "").slice(4, -4);
      found.push([`${encoding}+${offset}`, Buffer.from(text)]);
    }
  }
  return found;
}

function expectClean(where: string, content: Buffer): void {
  for (const [what, bytes] of canaries) {
    for (const [shape, pattern] of shapes(bytes)) {
      expect([where, what, shape, content.indexOf(pattern)]).toEqual([where, what, shape, -1]);
    }
  }
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry: Dirent) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

async function failing(call: () => Promise<unknown>): Promise<void> {
  errors.push(await failure(call()));
}

const page = (address: string) => fetch(`http://${address}/metrics`).then((response) => response.text());

test("the search finds what is there, however it is encoded", () => {
  const bytes = Buffer.from(plant("found"));
  for (const encoding of ["utf8", "hex", "base64", "base64url"] as const) {
    for (const before of ["", "x", "xy"]) {
      const content = Buffer.concat([Buffer.from(before), bytes, Buffer.from("z")]).toString(encoding);
      expect(() => expectClean("here", Buffer.from(`{"a":"${content}"}`))).toThrow();
    }
  }
  canaries.delete("found");
});

test("no value, token or master key in any file, output, error, metric, backup or argument", async () => {
  const { method } = SecretService;
  plant("admin token", server.adminToken);
  const masterKeys = readFileSync(join(server.dataDir, "master.key"), "utf8");
  for (const [index, line] of masterKeys.split("\n").entries()) {
    if (line.trim() !== "" && !line.startsWith("#")) plant(`line ${index} of the key file`, line.trim());
  }

  // Values: written, read, watched, overwritten, disabled, destroyed, deleted, and refused in every way.
  const first = plant("first value");
  const watcher = admin.watch("leak/a", { allowMissing: true });
  const slots = admin.watchSlots(["leak/a"], { allowMissing: true });
  for (const stream of [watcher, slots]) await stream.take();
  await admin.put("leak/a", 0n, first, { requestId: "request" });
  await admin.put("leak/a", 0n, plant("overwritten value"), { overwrite: true });
  await admin.put("leak/a", 1n, plant("destroyed value"));
  await admin.call(method.destroySlot, { name: "leak/a", slot: 1n });
  await admin.put("leak/b", 1n, plant("deleted value"));
  await admin.call(method.disableSlot, { name: "leak/b", slot: 1n });
  await admin.call(method.deleteSecret, { name: "leak/b" });
  await admin.get("leak/a");
  await admin.at("leak/a", 7n);
  for (const stream of [watcher, slots]) await stream.take();
  await failing(() => admin.put("leak/a", 0n, plant("refused value")));
  await failing(() =>
    admin.put("leak/a", 5n, plant("value of a stale put"), { expectedRevision: 1n << 40n }),
  );
  await failing(() => admin.put("leak/a", 6n, plant("value of a bad sum"), { crc32c: 1 }));
  await failing(() => admin.put("leak//a", 7n, plant("value for a bad name")));
  await failing(() => admin.put("leak/a", 8n, plant("too long a value").repeat(2000)));
  await failing(() => admin.put("leak/a", 9n, plant("value of a reused id"), { requestId: "request" }));
  const broken = Buffer.concat([Buffer.from([0x07]), Buffer.from(plant("broken message"))]);
  await failing(() => admin.raw(SecretService.typeName, "PutSlot", broken));

  // Tokens: made, used, revoked, unknown, misspelt; and what else comes as a proof.
  const made = await admin.createToken("leak");
  plant("token", made.token);
  await applyPolicies(admin, [grant("leak", "token:leak", ["read"], ["leak/*"])]);
  const reader = new Wire(server.address, made.token);
  await reader.get("leak/a");
  await failing(() => reader.put("leak/a", 9n, plant("denied value")));
  await revokeToken(admin, made.tokenId);
  await failing(() => reader.get("leak/a"));
  reader.close();
  const proofs = [
    plant("unknown token", generateToken()),
    `sst_${plant("misspelt token")}`,
    `${plant("jwt")}.b.c`,
  ];
  for (const proof of proofs) {
    const stranger = new Wire(server.address, proof);
    await failing(() => stranger.get("leak/a"));
    stranger.close();
  }
  const scheme = { authorization: `Basic ${plant("other scheme")}` };
  const nobody = new Wire(server.address, undefined);
  await failing(() => nobody.raw(SecretService.typeName, "GetSecret", new Uint8Array(), scheme));
  nobody.close();
  await failing(() => admin.call(AdminService.method.revokeToken, { tokenId: plant("token sent as an id") }));
  const keyId = plant("master key sent as an id");
  await failing(() => admin.call(AdminService.method.retireMasterKey, { keyId }));
  await failing(() => admin.stream(AdminService.method.rotateMasterKey, { keyId }).take());
  await failing(() => admin.watch("leak/a", { resumeToken: plant("bad resume token") }).take());
  await failing(() => admin.call(method.listSecrets, { pageToken: plant("bad page token") }));
  // Bytes that are no HTTP/2 at all.
  const [host = "", port = "0"] = server.address.split(":");
  const raw = connect(Number(port), host);
  raw.on("error", () => {}).resume();
  raw.end(plant("no HTTP"));
  await new Promise((resolve) => raw.once("close", resolve));

  const backup: Uint8Array[] = [];
  for await (const { chunk } of admin.stream(AdminService.method.createBackup, {})) backup.push(chunk);
  const records: string[] = [];
  for await (const record of admin.stream(AdminService.method.searchAudit, {}))
    records.push(record.recordJson);

  const scan = (when: string, files = filesBelow(server.dataDir)) => {
    for (const file of files) {
      // What the first start is for: they hold what nothing else may.
      if (["master.key", "admin.token"].some((name) => file === join(server.dataDir, name))) continue;
      expectClean(`${file} ${when}`, readFileSync(file));
    }
  };
  scan("while it runs");
  expectClean("metrics", Buffer.from(await page(metrics)));
  const { pid } = server.child;
  expectClean("arguments", readFileSync(`/proc/${pid}/cmdline`));
  expectClean("backup", Buffer.concat(backup));
  expectClean("audit records", Buffer.from(records.join("\n")));
  for (const error of errors) {
    expectClean("error", Buffer.from(JSON.stringify([error.message, error.metadata, error.fields])));
  }
  // A kill leaves the write-ahead log as it is; the next start recovers from it.
  await server.kill();
  scan("after a kill");
  expectClean("output", Buffer.from(server.output));
  const again = await ServerProcess.start({ dataDir: server.dataDir });
  await again.stop();
  scan("after a stop");
  expectClean("output of the next start", Buffer.from(again.output));
  expect(errors.length).toBeGreaterThan(15);
});
