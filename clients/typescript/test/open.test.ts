import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AbsentReason } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { type Client, connect, type OpenOptions, open, type Secrets } from "../src/index.ts";
import { eventually } from "./eventually.ts";
import { Refusal, ScriptedServer, type ScriptedStream } from "./scripted-server.ts";

const KEY = new Uint8Array(32).fill(7);

vi.setConfig({ testTimeout: 60_000 });

let server: ScriptedServer;
let client: Client;
let folder: string;
const warnings: string[] = [];
const opened: Secrets[] = [];

beforeEach(async () => {
  server = await ScriptedServer.start();
  client = connect({ address: server.address, token: "tok", onWarning: (warning) => warnings.push(warning) });
  folder = await mkdtemp(join(tmpdir(), "slots-client-"));
  warnings.length = 0;
});

afterEach(async () => {
  for (const secrets of opened.splice(0)) await secrets.close();
  client.close();
  server.stop();
  await rm(folder, { recursive: true });
});

async function openWith(
  script: (stream: ScriptedStream) => void,
  options: OpenOptions = {},
  names = ["s"],
): Promise<{ secrets: Secrets; stream: ScriptedStream }> {
  const pending = client.open(names, { waitMs: 20_000, ...options });
  const stream = await server.nextStream();
  script(stream);
  const secrets = await pending;
  opened.push(secrets);
  return { secrets, stream };
}

describe("open", () => {
  it("asks for all names on one stream, and resolves when all have a value", async () => {
    const { secrets, stream } = await openWith(
      (one) => {
        one.sync(3n, { "0": "x" }, "a");
        one.sync(4n, { "0": "y" }, "b");
      },
      {},
      ["b", "a", "b"],
    );
    expect(stream.request).toMatchObject({ names: ["b", "a"], allowMissing: true, resumeToken: "", view: 2 });
    expect(stream.metadata.get("authorization")).toEqual(["Bearer tok"]);
    expect(secrets.handle("a").current().value.text()).toBe("x");
    expect(secrets.handle("b").current()).toMatchObject({ revision: 4n, epoch: "e1" });
    expect(secrets.stale).toBe(false);
    expect(secrets.ageMs()).toBeGreaterThanOrEqual(0);
    expect(() => secrets.handle("c")).toThrow(expect.objectContaining({ reason: "NAME_NOT_DECLARED" }));
  });

  it("names what is missing, and why", async () => {
    const pending = client.open(["a", "s", "c"], { waitMs: 6000 });
    const stream = await server.nextStream();
    stream.send(1n, { case: "absent", value: { name: "a", reason: AbsentReason.NO_ENABLED_SLOT } });
    stream.send(0n, { case: "absent", value: { name: "c", reason: AbsentReason.NOT_EXISTING } });
    stream.sync(1n, { "0": "x" });
    await expect(pending).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "SECRETS_MISSING",
      metadata: { missing: "a,c" },
      message: expect.stringMatching(/"a" \(has no enabled slot\), "c" \(does not exist\)/),
    });
    await stream.cancelled;
  });

  it("says that there was no contact", async () => {
    server.stop();
    await expect(client.open(["s"], { waitMs: 3000 })).rejects.toMatchObject({
      reason: "SECRETS_MISSING",
      message: expect.stringContaining("no contact, UNAVAILABLE"),
    });
  });

  it.each([status.PERMISSION_DENIED, status.INVALID_ARGUMENT, status.UNIMPLEMENTED])(
    "fails at once when the server says no (%i)",
    async (code) => {
      const pending = client.open(["s"], { waitMs: 60_000 });
      (await server.nextStream()).fail(new Refusal(code, "WHY"));
      await expect(pending).rejects.toMatchObject({ reason: "WHY" });
    },
  );

  it("reads the token again once, then fails", async () => {
    const pending = client.open(["s"], { waitMs: 60_000 });
    for (let i = 0; i < 2; i++)
      (await server.nextStream()).fail(new Refusal(status.UNAUTHENTICATED, `NO${i}`));
    await expect(pending).rejects.toMatchObject({ code: "UNAUTHENTICATED", reason: "NO1" });
  });

  it("refuses no names, bad names and too many", async () => {
    for (const names of [
      [],
      ["a//b"],
      [".."],
      ["a/./b"],
      [""],
      ["x".repeat(256)],
      Array.from({ length: 1001 }, (_, i) => `n${i}`),
    ]) {
      await expect(client.open(names)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });

  it("ends with its client, and the handles go on answering", async () => {
    const { secrets, stream } = await openWith((one) => one.sync(3n, { "0": "x" }));
    client.close();
    await stream.cancelled;
    await secrets.close();
    expect(secrets.handle("s").current().value.text()).toBe("x");
    await expect(client.getSecret("s")).rejects.toMatchObject({ code: "CANCELLED", reason: "CLIENT_CLOSED" });
    await expect(client.open(["s"], { waitMs: 60_000 })).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("is one call with the client in it, closed together", async () => {
    const pending = open({ address: server.address, token: "tok", names: ["s"] });
    const stream = await server.nextStream();
    stream.sync(1n, { "0": "x" });
    const secrets = await pending;
    await secrets.close();
    await stream.cancelled;
    expect(secrets.handle("s").current().value.text()).toBe("x");
  });
});

describe("a handle", () => {
  it("follows the stream; one callback per applied change, in order", async () => {
    const { secrets, stream } = await openWith((one) => one.sync(3n, { "0": "x" }));
    const handle = secrets.handle("s");
    const seen: string[] = [];
    const end = handle.onChange(({ previous, current, currentChanged }) => {
      seen.push(`${previous.revision}>${current.revision} ${current.top?.value.text()} ${currentChanged}`);
    });
    handle.onChange(() => {
      throw new Error("a bad listener");
    });
    stream.slot(4n, 7n, "y");
    stream.synced(4n);
    stream.slot(5n, 2n, "below");
    stream.synced(6n);
    await eventually(() => seen.length === 2);
    expect(seen).toEqual(["3>4 y true", "4>5 y false"]);
    end();
    stream.send(7n, { case: "removed", value: { name: "s", slot: 7n } });
    stream.synced(7n);
    await eventually(() => handle.current().slot === 2n);
    expect(handle.current().revision).toBe(7n);
    expect(seen).toHaveLength(2);
    expect(warnings.join()).toContain('a listener of "s" failed');
  });

  it("resumes with the newest token, and keeps answering meanwhile", async () => {
    const { secrets, stream } = await openWith((one) => one.sync(3n, { "0": "x" }));
    stream.fail(new Refusal(status.UNAVAILABLE, "DRAINING"));
    const again = await server.nextStream();
    expect(again.request.resumeToken).toBe("token 3");
    expect(secrets.handle("s").current().value.text()).toBe("x");
    again.slot(4n, 1n, "y");
    again.synced(4n);
    await eventually(() => secrets.handle("s").current().value.text() === "y");
    again.end();
    expect((await server.nextStream()).request.resumeToken).toBe("token 4");
  });

  it.each([status.PERMISSION_DENIED, status.UNAUTHENTICATED, status.INTERNAL, status.NOT_FOUND])(
    "goes on trying whatever ends its stream (%i)",
    async (code) => {
      const { secrets, stream } = await openWith((one) => one.sync(3n, { "0": "x" }));
      stream.fail(new Refusal(code));
      const again = await server.nextStream();
      again.sync(5n, { "1": "y" });
      await eventually(() => secrets.handle("s").current().value.text() === "y");
    },
  );

  it("drops a token that the server does not take, and connects at once", async () => {
    const { stream } = await openWith((one) => one.sync(3n, { "0": "x" }));
    stream.end();
    (await server.nextStream()).fail(new Refusal(status.INVALID_ARGUMENT, "BAD_RESUME_TOKEN"));
    expect((await server.nextStream()).request.resumeToken).toBe("");
  });

  it("never takes an older state from a server that lost its newest commits (W14)", async () => {
    const { secrets, stream } = await openWith((one) => one.sync(9n, { "0": "new" }));
    stream.end();
    const behind = await server.nextStream();
    behind.sync(4n, { "0": "old" });
    await behind.cancelled;
    expect(secrets.handle("s").current().value.text()).toBe("new");
    (await server.nextStream()).sync(10n, { "0": "newer" });
    await eventually(() => secrets.handle("s").current().value.text() === "newer");
  });
});

describe("the cache", () => {
  const cached = (): OpenOptions => ({ cache: { path: join(folder, "cache"), key: KEY } });

  it("starts a program while the server is away, stale until the first contact", async () => {
    const first = await openWith(
      (one) => one.sync(3n, { "0": "plain-x", [String(2n ** 63n - 1n)]: "plain-y" }),
      cached(),
    );
    const path = join(folder, "cache");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readFile(path)).includes("plain")).toBe(false);
    await first.secrets.close();
    expect(await readdir(folder)).toEqual(["cache"]);

    const pending = client.open(["s"], cached());
    const stream = await server.nextStream();
    expect(stream.request.resumeToken).toBe("token 3");
    stream.fail(new Refusal(status.UNAVAILABLE));
    const secrets = await pending;
    opened.push(secrets);
    expect(secrets.stale).toBe(true);
    expect(secrets.ageMs()).toBeUndefined();
    expect(secrets.handle("s").current()).toMatchObject({ slot: 2n ** 63n - 1n, revision: 3n, epoch: "e1" });
    expect(secrets.handle("s").effectiveAt(5).value.text()).toBe("plain-x");

    const again = await server.nextStream();
    again.send(4n, { case: "progress", value: {} }, { resumeToken: "token 4" });
    await eventually(() => !secrets.stale);
    expect(secrets.handle("s").current().value.text()).toBe("plain-y");
  });

  it("starts after 2 s without an answer", async () => {
    await (await openWith((one) => one.sync(3n, { "0": "x" }), cached())).secrets.close();
    const pending = client.open(["s"], { ...cached(), waitMs: 60_000 });
    await server.nextStream();
    const secrets = await pending;
    opened.push(secrets);
    expect(secrets.stale).toBe(true);
  });

  it("does not overrule a server that says no", async () => {
    await (await openWith((one) => one.sync(3n, { "0": "x" }), cached())).secrets.close();
    // The clock stands still: on a slow machine the cache must not win by its patience.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const pending = client.open(["s"], cached());
      (await server.nextStream()).fail(new Refusal(status.PERMISSION_DENIED, "DENIED"));
      await expect(pending).rejects.toMatchObject({ reason: "DENIED" });
    } finally {
      vi.useRealTimers();
    }
  });

  it("is never older than the server: a state below it is refused", async () => {
    await (await openWith((one) => one.sync(9n, { "0": "new" }), cached())).secrets.close();
    const pending = client.open(["s"], cached());
    const behind = await server.nextStream();
    behind.sync(4n, { "0": "old" });
    await behind.cancelled;
    const secrets = await pending;
    opened.push(secrets);
    expect(secrets.handle("s").current().value.text()).toBe("new");
  });

  it("is not used with another key, when damaged, or cut, and says so", async () => {
    const { secrets } = await openWith((one) => one.sync(3n, { "0": "x" }), cached());
    await secrets.close();
    const path = join(folder, "cache");
    const good = await readFile(path);
    const spoilt = [
      Buffer.alloc(0),
      good.subarray(0, 30),
      Buffer.from("SSCACHE2 and more than enough bytes after it"),
    ];
    for (const at of [0, 10, 25, good.length - 1]) {
      const flipped = Buffer.from(good);
      flipped[at]! ^= 1;
      spoilt.push(flipped);
    }
    const notUsed = async (options: OpenOptions): Promise<void> => {
      warnings.length = 0;
      const abort = new AbortController();
      const pending = client.open(["s"], { ...options, signal: abort.signal, waitMs: 60_000 });
      expect((await server.nextStream()).request.resumeToken).toBe("");
      abort.abort();
      await expect(pending).rejects.toMatchObject({ code: "CANCELLED" });
      expect(warnings.join()).toContain("CACHE_UNREADABLE");
    };
    for (const content of spoilt) {
      await writeFile(path, content);
      await notUsed(cached());
    }
    await writeFile(path, good);
    await notUsed({ cache: { path, key: new Uint8Array(32) } });
    await expect(client.open(["s"], { cache: { path, key: new Uint8Array(31) } })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  it("gives no token for other names, but what it knows of them", async () => {
    await (await openWith((one) => one.sync(3n, { "0": "x" }), cached())).secrets.close();
    const pending = client.open(["s", "t"], { ...cached(), waitMs: 20_000 });
    const stream = await server.nextStream();
    expect(stream.request.resumeToken).toBe("");
    stream.sync(5n, { "0": "x" });
    stream.sync(5n, { "0": "z" }, "t");
    const secrets = await pending;
    opened.push(secrets);
    expect(secrets.handle("t").current().value.text()).toBe("z");
  });

  it("warns when it can't be written, and the secrets are there all the same", async () => {
    const cache = { path: join(folder, "missing", "cache"), key: KEY };
    const { secrets } = await openWith((one) => one.sync(3n, { "0": "x" }), { cache });
    expect(secrets.handle("s").current().value.text()).toBe("x");
    expect(warnings.join()).toContain("was not written: ENOENT");
  });
});
