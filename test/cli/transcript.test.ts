import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";
import { PATIENT, Slots } from "./slots.ts";

describe("slots put, get, at, watch, list, describe", PATIENT, () => {
  let server: ServerProcess;
  let slots: Slots;
  /** Lays the ground where it is not what is tested. */
  let wire: Wire;
  beforeAll(async () => {
    server = await ServerProcess.start();
    slots = new Slots(server);
    wire = new Wire(server.address, server.adminToken);
  });
  afterAll(async () => {
    wire?.close();
    slots?.dispose();
    await server?.dispose();
  });

  it("tells the story of the README: two slots, four points, and a watch that sees the third", async () => {
    await slots.ok(["put", "app/db", "--slot", "0"], { input: "original_password" });
    expect(await slots.ok(["put", "app/db", "--slot", "5"], { input: "updated_password" })).toMatch(
      /^app\/db: slot 5, revision \d+; current is slot 5\n$/,
    );
    expect(await slots.ok(["get", "app/db"])).toBe("updated_password");
    const at = await Promise.all(["0", "3", "5", "7"].map((point) => slots.ok(["at", "app/db", point])));
    expect(at).toEqual(["original_password", "original_password", "updated_password", "updated_password"]);

    const watch = slots.start(["watch", "app/db"]);
    await waitFor("the current value", () => watch.stdout().includes("slot 5"));
    await slots.ok(["put", "app/db", "--slot", "6"], { input: "sixth" });
    await waitFor("the new value", () => watch.stdout().includes("slot 6"));
    expect(watch.stdout()).toMatch(
      /^slot 5 {2}revision \d+ {2}16 bytes\nslot 6 {2}revision \d+ {2}5 bytes\n$/,
    );
    watch.child.kill("SIGINT");
    expect((await watch.ended).signal).toBe("SIGINT");
  });

  it("keeps bytes as they are, from standard input and from a file", async () => {
    const bytes = Buffer.concat([randomBytes(500), Buffer.from("\n\n")]);
    await slots.ok(["put", "bytes/stdin", "--next"], { input: bytes });
    expect((await slots.run(["get", "bytes/stdin"])).stdout).toEqual(bytes);
    writeFileSync(slots.path("value"), bytes);
    await slots.ok(["put", "bytes/file", "--next", "--value-file", "value"]);
    expect((await slots.run(["get", "bytes/file"])).stdout).toEqual(bytes);
    await slots.ok(["put", "bytes/empty", "--next"], { input: "" });
    expect((await slots.run(["get", "bytes/empty"])).stdout.length).toBe(0);
  });

  it("prints documents: large numbers as strings, values as base64, and as text where they are text", async () => {
    const max = String(2n ** 63n - 1n);
    const put = await slots.json(["put", "doc/text", "--slot", max], { input: "grüße" });
    expect(put).toMatchObject({
      name: "doc/text",
      slot: max,
      state: "ENABLED",
      created: true,
      currentSlot: max,
    });
    const got = await slots.json(["get", "doc/text"]);
    expect(got).toMatchObject({ slot: max, value: Buffer.from("grüße").toString("base64"), text: "grüße" });
    expect(got.revision).toBe(put.revision);
    await slots.ok(["put", "doc/binary", "--slot", "0"], { input: Buffer.from([0xff, 0]) });
    const binary = await slots.json(["at", "doc/binary", "9"]);
    expect(binary).toMatchObject({ at: "9", slot: "0", value: "/wA=" });
    expect(binary).not.toHaveProperty("text");
  });

  it("puts next, now, disabled, with an expected revision and over another value", async () => {
    const { slot: first } = await slots.json(["put", "ways/db", "--next"], { input: "a" });
    const { slot: second, revision } = await slots.json(["put", "ways/db", "--next"], { input: "b" });
    expect([first, second]).toEqual(["0", "1"]);
    const staged = await slots.json(
      ["put", "ways/db", "--now", "--disabled", "--expected-revision", String(revision)],
      { input: "c" },
    );
    expect(staged).toMatchObject({ state: "DISABLED", currentSlot: "1" });
    expect(Number(staged.slot)).toBeGreaterThan(1.7e9);
    await slots.ok(["put", "ways/db", "--slot", "1", "--overwrite"], { input: "B" });
    expect(await slots.ok(["get", "ways/db"])).toBe("B");
  });

  it("draws the slots: numbers and dates, the current one, disabled and destroyed ones", async () => {
    const name = "drawn/db";
    for (const slot of [0n, 5n, 7n, 1741790697n]) await wire.put(name, slot, String(slot));
    await slots.ok(["disable", name, "5"]);
    await slots.ok(["destroy", name, "7"]);
    await slots.ok(["update", name, "--comment", "the database", "--label", "team=pay", "--label", "tier=1"]);
    await slots.ok(["update", name, "--label", "team=core", "--remove-label", "tier"]);
    const drawn = await slots.ok(["describe", name]);
    const line = (start: RegExp) => drawn.split("\n").find((each) => start.test(each)) ?? "";
    expect(line(/ 0 /)).toMatch(/○ .*enabled.*1 byte.*effective 0 to 1741790696/);
    expect(line(/ 5 /)).toMatch(/◌ .*disabled/);
    expect(line(/ 7 /)).toMatch(/× .*destroyed/);
    expect(line(/ 1741790697 /)).toMatch(
      /● .*\(2025-03-12 14:44:57Z\) .*current.*effective from 1741790697 on/,
    );
    expect(drawn).toContain("the database");
    expect(drawn).toContain("team=core");
    expect(drawn).not.toContain("tier");
    expect(drawn).not.toContain("\u001b");
    const document = await slots.json(["describe", name]);
    expect(document).toMatchObject({
      currentSlot: "1741790697",
      labels: { team: "core" },
      destroyedCount: 1,
    });
    expect((document.slots as { state: string }[]).map(({ state }) => state)).toEqual([
      "ENABLED",
      "DISABLED",
      "DESTROYED",
      "ENABLED",
    ]);
    await slots.ok(["enable", name, "5"]);
    expect(await slots.ok(["at", name, "2025-03-12T14:44:56Z"])).toBe("5");
    expect(await slots.ok(["at", name, "2025-03-12T14:44:57Z"])).toBe("1741790697");
  });

  it("lists by prefix, as a table and as documents", async () => {
    for (const name of ["list/a", "list/b"]) await wire.put(name, 3n, "x");
    const table = await slots.ok(["list", "list/"]);
    expect(table.split("\n").slice(0, 3)).toEqual([
      expect.stringMatching(/^NAME +CURRENT +SLOTS +REVISION +CHANGED$/),
      expect.stringMatching(/^list\/a +3 +1 /),
      expect.stringMatching(/^list\/b +3 +1 /),
    ]);
    const lines = (await slots.ok(["list", "list/", "--output", "json"])).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).name)).toEqual(["list/a", "list/b"]);
  });

  it("deletes", async () => {
    await wire.put("gone/db", 0n, "x");
    expect((await slots.run(["delete", "gone/db", "--etag", '"none"'])).status).toBe(6);
    await slots.ok(["delete", "gone/db"]);
    expect((await slots.run(["get", "gone/db"])).status).toBe(3);
  });

  it("shows values of a watch only when asked, and tells of absence", async () => {
    await wire.put("seen/db", 0n, 'two\n"lines"');
    const shown = await slots.ok(["watch", "seen/db", "--show-value", "--count", "1"]);
    expect(shown).toContain(JSON.stringify('two\n"lines"'));
    const watch = slots.start(["watch", "seen/db", "--output", "json"]);
    await waitFor("the current value", () => watch.stdout().includes('"current"'));
    await slots.ok(["disable", "seen/db", "0"]);
    await waitFor("its absence", () => watch.stdout().includes("NO_ENABLED_SLOT"));
    watch.child.kill("SIGTERM");
    const [current, absent] = (await watch.ended).text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(current).toMatchObject({ type: "current", name: "seen/db", slot: "0", size: 11 });
    expect(current).not.toHaveProperty("value");
    expect(absent).toMatchObject({ type: "absent", reason: "NO_ENABLED_SLOT" });
  });
});
