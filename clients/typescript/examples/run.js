// Starts a server, runs the examples against it while their secrets rotate, and checks what they do.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "@secretslots/client";
import { startPool } from "./database-pool.js";
import { startService } from "./jwt-service.js";

const BOUND_MS = 30_000;
const bin = join(import.meta.dirname, "../../../bin/slots.js");
// The server wants Node 24; `npm ci` at the root of the repository brings one along.
const node = join(import.meta.dirname, "../../../node_modules/.bin/node");

async function startServer(dataDir) {
  const child = spawn(node, [bin, "serve", "--data-dir", dataDir, "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /^listening on (.+)$/.exec(line)?.[1];
    if (address !== undefined) return { child, address };
  }
  throw new Error("the server did not start");
}

async function eventually(what, condition) {
  const end = Date.now() + BOUND_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not come true`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function checkJwtService(client, options) {
  await client.putSlot({ name: "examples/jwt-key", slot: 1_700_000_000, value: randomBytes(32) });
  const app = await startService(options);
  const origin = app.listeningOrigin;
  const login = async (name) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${origin}/login`, {
      method: "POST",
      headers,
      body: JSON.stringify({ name }),
    });
    return (await response.json()).token;
  };
  const me = async (token) =>
    (await fetch(`${origin}/me`, { headers: { authorization: `Bearer ${token}` } })).json();

  const before = await login("ada");
  assert.deepEqual(await me(before), { name: "ada" });
  const slot = Math.trunc(Date.now() / 1000) + 1;
  await client.putSlot({ name: "examples/jwt-key", slot, value: randomBytes(32) });
  // The signature of a fresh token shows which key is in use.
  let after = await login("grace");
  await eventually("signing with the new key", async () => {
    after = await login("grace");
    return JSON.parse(atob(after.split(".")[1])).iat >= slot;
  });
  assert.deepEqual(await me(after), { name: "grace" });
  assert.deepEqual(await me(before), { name: "ada" });
  assert.deepEqual(await me(`${before}x`), { error: "the token does not hold" });
  assert.deepEqual(await me("nonsense"), { error: "the token does not hold" });
  await app.close();
  console.log("jwt-service: a token from before the roll-over and one from after it both hold");
}

async function checkPool(client, options) {
  let password = "first";
  let openConnections = 0;
  const database = async (given) => {
    if (given !== password) throw new Error("wrong password");
    openConnections++;
    return { query: async (sql) => `${sql} as ${given}`, close: () => openConnections-- };
  };
  await client.putSlot({ name: "examples/db", slot: 0, value: "first" });
  const pool = await startPool({ ...options, connect: database });
  assert.equal(await pool.query("SELECT 1"), "SELECT 1 as first");
  await client.putSlot({ name: "examples/db", slot: 1, value: "mistyped" });
  await client.putSlot({ name: "examples/db", slot: 2, value: "second" });
  password = "second";
  await eventually("the swap", async () => (await pool.query("SELECT 1")) === "SELECT 1 as second");
  await eventually("the end of the old pool", () => openConnections === 1);
  await pool.close();
  assert.equal(openConnections, 0);
  console.log("database-pool: swapped to the new password; the old pool is closed");
}

const folder = mkdtempSync(join(tmpdir(), "slots-examples-"));
const { child, address } = await startServer(join(folder, "data"));
try {
  const tokenFile = join(folder, "data/admin.token");
  const client = connect({ address, tokenFile });
  await checkJwtService(client, { address, tokenFile });
  await checkPool(client, { address, tokenFile });
  const env = { ...process.env, SLOTS_ADDRESS: address, SLOTS_TOKEN_FILE: tokenFile };
  await client.putSlot({ name: "app/db", slot: 0, value: "password" });
  client.close();
  const five = spawnSync(process.execPath, ["five-lines.js"], {
    cwd: import.meta.dirname,
    env,
    encoding: "utf8",
  });
  assert.match(five.stdout, /value: \[secret\]/, five.stderr);
  assert.doesNotMatch(five.stdout, /password/);
  console.log("five-lines: ok");
} finally {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill();
  await ended;
  rmSync(folder, { recursive: true, force: true });
}
