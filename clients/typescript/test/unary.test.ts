import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PutSlotRequest } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { type Client, type ConnectOptions, connect, SlotsError } from "../src/index.ts";
import { Refusal, ScriptedServer } from "./scripted-server.ts";

vi.setConfig({ testTimeout: 60_000 });

let server: ScriptedServer;
let folder: string;
const clients: Client[] = [];

beforeEach(async () => {
  server = await ScriptedServer.start();
  folder = await mkdtemp(join(tmpdir(), "slots-client-"));
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  server.stop();
  await rm(folder, { recursive: true });
});

function client(options: Partial<ConnectOptions> = {}): Client {
  const made = connect({ address: server.address, token: "tok", ...options });
  clients.push(made);
  return made;
}

const found = { name: "s", slot: 5n, value: new TextEncoder().encode("v"), revision: 7n, epoch: "e1" };

describe("a unary call", () => {
  it("gives the version, and sends the token", async () => {
    let authorization: unknown;
    server.answers.set("getSecret", (_, metadata) => {
      [authorization] = metadata.get("authorization");
      return found;
    });
    const version = await client().getSecret("s");
    expect(version).toMatchObject({ name: "s", slot: 5n, revision: 7n, epoch: "e1" });
    expect(version.value.text()).toBe("v");
    expect(authorization).toBe("Bearer tok");
  });

  it("sends no `at` when none is given, and refuses one that is no slot number", async () => {
    const asked: unknown[] = [];
    server.answers.set("getEffectiveAt", (request) => {
      asked.push((request as { at?: bigint }).at);
      return { ...found, at: 9n };
    });
    await client().getSecretEffectiveAt("s");
    await client().getSecretEffectiveAt("s", 2n ** 53n + 1n);
    expect(asked).toEqual([undefined, 2n ** 53n + 1n]);
    await expect(client().getSecretEffectiveAt("s", -1)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("turns a failure into a SlotsError with code, reason and metadata", async () => {
    server.answers.set("getSecret", () => {
      throw new Refusal(status.NOT_FOUND, "SECRET_NOT_FOUND");
    });
    const error = await client()
      .getSecret("s")
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SlotsError);
    expect(error).toMatchObject({ code: "NOT_FOUND", reason: "SECRET_NOT_FOUND", metadata: { name: "s" } });
  });

  it("tries UNAVAILABLE again, a mutation with one request id for all attempts", async () => {
    const ids: string[] = [];
    server.answers.set("putSlot", (request) => {
      ids.push((request as PutSlotRequest).requestId);
      if (ids.length < 3) throw new Refusal(status.UNAVAILABLE, "STORE_BUSY");
      return { name: "s", slot: 0n, state: 1, revision: 1n, created: true, currentSlot: 0n, epoch: "e1" };
    });
    const result = await client({ timeoutMs: 20_000 }).putSlot({ name: "s", slot: 0, value: "x" });
    expect(result).toMatchObject({ slot: 0n, state: "ENABLED", created: true });
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  it("does not repeat a change that has no request id, nor what is not UNAVAILABLE", async () => {
    let calls = 0;
    server.answers.set("getSecret", () => {
      calls++;
      throw new Refusal(status.RESOURCE_EXHAUSTED);
    });
    await expect(client().getSecret("s")).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    expect(calls).toBe(1);
  });

  it("gives up after so many attempts, with the last error", async () => {
    let calls = 0;
    server.answers.set("getSecret", () => {
      calls++;
      throw new Refusal(status.UNAVAILABLE, "STORE_BUSY");
    });
    const impatient = client({ maxAttempts: 2, timeoutMs: 20_000 });
    await expect(impatient.getSecret("s")).rejects.toMatchObject({ reason: "STORE_BUSY" });
    expect(calls).toBe(2);
  });

  it("reaches a server that was down at the second attempt, however often it failed before", async () => {
    const address = `unix:${join(folder, "socket")}`;
    const caller = client({ address, maxAttempts: 2, timeoutMs: 20_000 });
    for (let i = 0; i < 5; i++)
      await expect(caller.getSecret("s")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const late = await ScriptedServer.start(address);
    late.answers.set("getSecret", () => found);
    try {
      expect((await caller.getSecret("s")).slot).toBe(5n);
    } finally {
      late.stop();
    }
  });

  it("ends at the deadline", async () => {
    server.answers.set("getSecret", () => new Promise(() => {}));
    await expect(client({ timeoutMs: 50 }).getSecret("s")).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
  });

  it("ends when the signal aborts", async () => {
    server.answers.set("getSecret", () => new Promise(() => {}));
    const abort = new AbortController();
    const call = client({ timeoutMs: 20_000 }).getSecret("s", { signal: abort.signal });
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("reads the token file again when the token is refused", async () => {
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, "old\n");
    const seen: string[] = [];
    server.answers.set("getSecret", async (_, metadata) => {
      seen.push(String(metadata.get("authorization")[0]));
      if (seen.length === 1) await writeFile(tokenFile, "new\n");
      if (seen.at(-1) !== "Bearer new") throw new Refusal(status.UNAUTHENTICATED);
      return found;
    });
    await client({ token: undefined, tokenFile }).getSecret("s");
    expect(seen).toEqual(["Bearer old", "Bearer new"]);
  });

  it("refuses a value that does not match its checksum", async () => {
    server.answers.set("getSecret", () => ({ ...found, crc32c: 1 }));
    await expect(client().getSecret("s")).rejects.toMatchObject({ code: "DATA_LOSS", reason: "DATA_LOSS" });
  });

  it("lists all pages", async () => {
    server.answers.set("listSecrets", (request) => {
      const { pageToken } = request as { pageToken: string };
      return pageToken === ""
        ? { secrets: [{ name: "a" }, { name: "b" }], nextPageToken: "more" }
        : { secrets: [{ name: "c" }], nextPageToken: "" };
    });
    const names: string[] = [];
    for await (const { name } of client().listSecrets()) names.push(name);
    expect(names).toEqual(["a", "b", "c"]);
  });
});

describe("connect", () => {
  it.each(["nonsense", "host", "host:0", "host:65536", "unix:", ":1"])(
    "refuses the address %s",
    (address) => {
      expect(() => connect({ address })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    },
  );

  it("sends no token in the clear to another machine, unless told to", () => {
    const far = { address: "192.0.2.1:50051", token: "tok" };
    expect(() => connect(far)).toThrow(expect.objectContaining({ reason: "PLAINTEXT_REFUSED" }));
    connect({ ...far, allowPlaintext: true }).close();
    connect({ ...far, tls: true }).close();
    for (const address of ["localhost:1", "127.9.9.9:1", "[::1]:1", "unix:/tmp/x"])
      connect({ ...far, address }).close();
  });

  it("names no token in an error", () => {
    const bad = () => connect({ address: "localhost:1", token: "bad\ntoken" });
    expect(bad).toThrow(expect.not.objectContaining({ message: expect.stringContaining("bad") }));
  });

  it("reaches a server over a unix socket", async () => {
    const path = join(folder, "socket");
    const local = await ScriptedServer.start(`unix:${path}`);
    local.answers.set("getSecret", () => found);
    try {
      expect((await client({ address: `unix:${path}` }).getSecret("s")).slot).toBe(5n);
    } finally {
      local.stop();
    }
  });
});
