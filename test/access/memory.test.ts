import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compressionAlgorithms, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";
import { applyPolicies, grant } from "./rights.ts";

const folder = mkdtempSync(join(tmpdir(), "slots-memory-"));
let server: ServerProcess;
let admin: Wire;

beforeAll(async () => {
  server = await ServerProcess.start({
    env: { NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${folder}` },
  });
  admin = new Wire(server.address, server.adminToken);
});

afterAll(async () => {
  admin?.close();
  await server?.dispose();
  rmSync(folder, { recursive: true });
});

/** Every text that something in the server still refers to. */
async function textsInMemory(): Promise<string> {
  server.child.kill("SIGUSR2");
  const file = await waitFor("a whole snapshot", () => {
    const [name] = readdirSync(folder).filter((one) => one.endsWith(".heapsnapshot"));
    if (name === undefined) return undefined;
    const text = readFileSync(join(folder, name), "utf8");
    return text.trimEnd().endsWith("]}") ? { name, text } : undefined;
  });
  rmSync(join(folder, file.name));
  return file.text;
}

test("no token lies in memory while its stream is open (S1)", async () => {
  await applyPolicies(admin, [grant("watchers", "token:someone", ["watch", "read", "list"], ["memory/*"])]);
  await admin.put("memory/one", 0n, "value");
  const { token } = await admin.createToken("someone");
  const direct = new Wire(server.address, token);
  // Whatever is compressed is left to grpc-js, which holds a call's metadata for as long as the call lasts.
  const compressed = new Wire(server.address, token, credentials.createInsecure(), {
    "grpc.default_compression_algorithm": compressionAlgorithms.gzip,
  });
  const streams = [direct, compressed].flatMap((wire) => [
    wire.watch("memory/one"),
    wire.watchSlots(["memory/one"]),
  ]);
  for (const stream of streams) await stream.take();

  const texts = await textsInMemory();
  expect(texts).toContain("memory/one");
  expect(texts).toContain("someone");
  // Without its first characters, which say what kind of token it is.
  expect(texts.includes(token.slice(-24))).toBe(false);

  for (const stream of streams) stream.cancel();
  direct.close();
  compressed.close();
});
