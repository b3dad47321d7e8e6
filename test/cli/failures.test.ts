import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { PATIENT, Slots } from "./slots.ts";

describe("how the command line fails", PATIENT, () => {
  let server: ServerProcess;
  let slots: Slots;
  let stranger: Slots;
  beforeAll(async () => {
    server = await ServerProcess.start();
    slots = new Slots(server);
    stranger = new Slots();
    await slots.ok(["put", "app/db", "--slot", "0"], { input: "value" });
  });
  afterAll(async () => {
    slots?.dispose();
    stranger?.dispose();
    await server?.dispose();
  });

  /** Each class of failure: what to type, the status, and what the message must say. */
  const CASES: readonly (readonly [what: string, args: readonly string[], status: number, says: RegExp])[] = [
    ["no command that is known", ["frobnicate"], 2, /unknown command 'frobnicate'/],
    ["an unknown flag", ["get", "app/db", "--frob"], 2, /unknown option '--frob'/],
    ["an argument left out", ["get"], 2, /missing required argument/],
    ["no place to put it", ["put", "app/db"], 2, /--slot N, --next and --now/],
    ["two places to put it", ["put", "app/db", "--slot", "1", "--next"], 2, /one of --slot/],
    ["an output that does not exist", ["get", "app/db", "--output", "xml"], 2, /human, json/],
    ["an unknown secret", ["get", "app/none"], 3, /SECRET_NOT_FOUND[\s\S]*slots list/],
    ["a point below every slot", ["at", "app/late", "4"], 3, /NO_EFFECTIVE_SLOT[\s\S]*slots describe/],
    ["another value for a slot", ["put", "app/db", "--slot", "0"], 6, /SLOT_EXISTS[\s\S]*--overwrite/],
    [
      "a revision of yesterday",
      ["put", "app/db", "--slot", "9", "--expected-revision", "1"],
      6,
      /REVISION_MISMATCH/,
    ],
    ["a slot above 2^63-1", ["put", "app/db", "--slot", "9223372036854775808"], 7, /9223372036854775807/],
    ["a negative slot", ["put", "app/db", "--slot", "-1"], 7, /whole number/],
    ["a fractional slot", ["put", "app/db", "--slot", "1.5"], 7, /whole number/],
    ["a name that is none", ["get", "a//b"], 7, /name/],
    [
      "a file that is not there",
      ["put", "app/db", "--slot", "9", "--value-file", "none"],
      1,
      /none: no such file/,
    ],
  ];

  it.each(CASES)("%s", async (_, args, status, says) => {
    if (args[1] === "app/late") await slots.ok(["put", "app/late", "--slot", "5"], { input: "x" });
    const ran = await slots.run(args, { input: "another value" });
    expect({ status: ran.status, stderr: ran.stderr }).toEqual({
      status,
      stderr: expect.stringMatching(says),
    });
    expect(ran.text).toBe("");
  });

  it("says what to do when nobody listens: 5", async () => {
    const ran = await slots.run(["get", "app/db", "--address", "127.0.0.1:1"]);
    expect(ran.status).toBe(5);
    expect(ran.stderr).toMatch(/can't connect to 127.0.0.1:1: ECONNREFUSED[\s\S]*slots serve/);
  });

  it("says what to do without a token, and with a wrong one: 4", async () => {
    const none = await stranger.run(["--address", server.address, "get", "app/db"]);
    expect([none.status, none.stderr]).toEqual([4, expect.stringMatching(/SLOTS_TOKEN_FILE/)]);
    const wrong = await stranger.run(["--address", server.address, "get", "app/db"], {
      env: { SLOTS_TOKEN: "sst_wrong" },
    });
    expect(wrong.status).toBe(4);
    expect(wrong.stderr).not.toContain("sst_wrong");
    const unreadable = await stranger.run([
      "--address",
      server.address,
      "--token-file",
      "none",
      "get",
      "app/db",
    ]);
    expect([unreadable.status, unreadable.stderr]).toEqual([
      4,
      expect.stringMatching(/none[\s\S]*--token-file/),
    ]);
  });

  it("refuses a token over plaintext to another machine: 7", async () => {
    const ran = await slots.run(["get", "app/db", "--address", "slots.example:443"]);
    expect([ran.status, ran.stderr]).toEqual([7, expect.stringMatching(/PLAINTEXT_REFUSED[\s\S]*--ca/)]);
  });

  it("prints failures as documents too", async () => {
    const { status, stderr, text } = await slots.run(["get", "app/none", "--output", "json"]);
    expect([status, text]).toEqual([3, ""]);
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: "NOT_FOUND",
        reason: "SECRET_NOT_FOUND",
        message: expect.any(String),
        metadata: expect.objectContaining({ name: "app/none" }),
      },
    });
  });

  it("takes where and who from flags before or after the verb, from variables, and from ./data/admin.token", async () => {
    const file = `${server.dataDir}/admin.token`;
    const flags = ["--address", server.address, "--token-file", file];
    expect(await stranger.ok([...flags, "get", "app/db"])).toBe("value");
    expect(await stranger.ok(["get", "app/db", ...flags])).toBe("value");
    expect(await stranger.ok(["get", ...flags, "app/db", "--output", "human"])).toBe("value");
    // The nearest flag wins, and a flag wins over a variable.
    expect(await stranger.ok(["--address", "127.0.0.1:1", "get", "app/db", ...flags])).toBe("value");
    const env = { SLOTS_ADDRESS: "127.0.0.1:1", SLOTS_TOKEN: "sst_wrong" };
    expect(await stranger.ok(["get", "app/db", ...flags], { env })).toBe("value");
    const token = { SLOTS_ADDRESS: server.address, SLOTS_TOKEN: server.adminToken };
    expect(await stranger.ok(["get", "app/db"], { env: token })).toBe("value");
    mkdirSync(stranger.path("data"));
    writeFileSync(stranger.path("data/admin.token"), server.adminToken);
    expect(await stranger.ok(["get", "app/db"], { env: { SLOTS_ADDRESS: server.address } })).toBe("value");
  });

  it("ends quietly when nobody reads its output any more", async () => {
    const list = slots.start(["watch", "app/db"]);
    await waitFor("the first line", () => list.stdout() !== "");
    list.child.stdout?.destroy();
    await slots.ok(["put", "app/db", "--next"], { input: "rotated" });
    const { status, stderr } = await list.ended;
    expect([status, stderr]).toEqual([0, ""]);
  });

  it("has neither a value nor a token in its argv, and no flag that would take one", async () => {
    const watch = slots.start(["watch", "app/db", "--show-value"]);
    await waitFor("the first line", () => watch.stdout() !== "");
    const argv = readFileSync(`/proc/${watch.child.pid}/cmdline`, "utf8");
    expect(argv).not.toContain(server.adminToken);
    watch.child.kill("SIGKILL");
    const help = await Promise.all(
      [["--help"], ["put", "--help"], ["exec", "--help"], ["token", "create", "--help"]].map((args) =>
        slots.ok(args),
      ),
    );
    for (const text of help) expect(text).not.toMatch(/--(token|value|password)[ =]/);
  });
});
