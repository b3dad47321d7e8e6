import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { NODE, ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";
import { PATIENT, Slots } from "./slots.ts";

/** A command that says what it was given and every signal it gets; it ends on SIGTERM with 7. */
const PROGRAM = `
process.on("SIGTERM", () => { console.log("term"); if (process.env.STUBBORN === undefined) process.exit(7); });
for (const name of ["SIGHUP", "SIGUSR2"]) process.on(name, () => console.log(name, require("node:fs").readFileSync("pw", "utf8")));
setTimeout(() => {}, 300_000);
// Last: whoever reads it may send a signal at once.
console.log("start", process.env.PW ?? "", process.env.EXTRA ?? "");
`;

describe("slots exec", PATIENT, () => {
  let server: ServerProcess;
  let slots: Slots;
  let wire: Wire;
  let name: string;
  let count = 0;
  beforeAll(async () => {
    server = await ServerProcess.start();
    slots = new Slots(server);
    wire = new Wire(server.address, server.adminToken);
    writeFileSync(slots.path("program.cjs"), PROGRAM);
  });
  afterAll(async () => {
    wire?.close();
    slots?.dispose();
    await server?.dispose();
  });
  beforeEach(async () => {
    count += 1;
    name = `exec/db${count}`;
    await wire.put(name, 0n, "first");
  });
  const program = () => [NODE, slots.path("program.cjs")];

  it("gives the values to the command and ends as it ends", async () => {
    const ran = await slots.run(
      [
        "exec",
        "--secret",
        `PW=${name}`,
        "--file",
        `pw=${name}`,
        "--",
        "sh",
        "-c",
        'echo "$PW $(cat pw)"; exit 3',
      ],
      { env: { EXTRA: "kept" } },
    );
    expect([ran.status, ran.text, ran.stderr]).toEqual([3, "first first\n", ""]);
    const killed = await slots.run(["exec", "--secret", `PW=${name}`, "--", "sh", "-c", "kill -KILL $$"]);
    expect(killed.status).toBe(128 + 9);
    const missing = await slots.run(["exec", "--secret", `PW=${name}`, "no-such-command", "--flag"]);
    expect([missing.status, missing.stderr]).toEqual([127, expect.stringContaining("no-such-command")]);
  });

  it("removes its files at the end, however it comes, and leaves what is not its own", async () => {
    const file = slots.path("pw");
    const exec = (flags: string[], command: string) =>
      slots.run(["exec", "--file", `pw=${name}`, ...flags, "--", "sh", "-c", command]);
    await exec([], "test -f pw");
    expect(existsSync(file)).toBe(false);
    await exec(["--keep-files"], "true");
    expect([readFileSync(file, "utf8"), statSync(file).mode & 0o777]).toEqual(["first", 0o600]);
    await exec([], "echo mine > new && mv new pw");
    expect(readFileSync(file, "utf8")).toBe("mine\n");
    await slots.run(["exec", "--file", `pw=${name}`, "no-such-command"]);
    expect(existsSync(file)).toBe(false);
    const run = slots.start(["exec", "--file", `pw=${name}`, "--", ...program()]);
    await waitFor("the start", () => run.stdout().includes("start"));
    expect(readFileSync(file, "utf8")).toBe("first");
    run.child.kill("SIGTERM");
    await run.ended;
    expect(existsSync(file)).toBe(false);
    expect(readdirSync(dirname(file)).filter((each) => each.endsWith(".tmp"))).toEqual([]);
  });

  it("restarts the command with the new value, by force when it does not end, and passes the end on", async () => {
    const run = slots.start(["exec", "--secret", `PW=${name}`, "--grace", "60", "--", ...program()]);
    await waitFor("the start", () => run.stdout().includes("start first"));
    await wire.put(name, 1n, "second");
    await waitFor("the restart", () => run.stdout().includes("start second"));
    expect(run.stdout()).toContain("term");
    // A put below the current slot changes nothing for the command.
    await wire.put(name, 0n, "0", { overwrite: true });
    run.child.kill("SIGTERM");
    const ran = await run.ended;
    expect([ran.status, ran.text.match(/start/g)?.length]).toEqual([7, 2]);

    const stubborn = slots.start(["exec", "--secret", `PW=${name}`, "--grace", "0.2", "--", ...program()], {
      env: { STUBBORN: "1" },
    });
    await waitFor("the start", () => stubborn.stdout().includes("start second"));
    await wire.put(name, 2n, "third");
    await waitFor("the restart", () => stubborn.stdout().includes("start third"));
    expect(stubborn.stderr()).toContain("it is killed");
    stubborn.child.kill("SIGTERM");
    await waitFor(
      "the signal",
      () => stubborn.stdout().lastIndexOf("term") > stubborn.stdout().indexOf("third"),
    );
    expect(stubborn.child.exitCode).toBeNull();
    stubborn.child.kill("SIGINT");
    expect((await stubborn.ended).status).toBe(128 + 2);
  });

  it("rewrites the file first and then sends the signal", async () => {
    const run = slots.start([
      "exec",
      "--file",
      `pw=${name}`,
      "--on-change",
      "signal:HUP",
      "--",
      ...program(),
    ]);
    await waitFor("the start", () => run.stdout().includes("start"));
    await wire.put(name, 1n, "second");
    await waitFor("the signal", () => run.stdout().includes("SIGHUP second"));
    run.child.kill("SIGUSR2");
    await waitFor("a signal passed on", () => run.stdout().includes("SIGUSR2 second"));
    expect(statSync(slots.path("pw")).mode & 0o777).toBe(0o600);
    run.child.kill("SIGTERM");
    expect((await run.ended).status).toBe(7);
    expect(run.stdout().match(/start/g)).toHaveLength(1);
  });

  it("rewrites files alone with --on-change none, and keeps the last value when there is none any more", async () => {
    const run = slots.start(["exec", "--file", `pw=${name}`, "--on-change", "none", "--", ...program()]);
    await waitFor("the start", () => run.stdout().includes("start"));
    await wire.put(name, 1n, "second");
    await waitFor("the new file", () => readFileSync(slots.path("pw"), "utf8") === "second");
    await wire.call(SecretService.method.deleteSecret, { name });
    await waitFor("the notice", () => run.stderr().includes("has no value any more"));
    expect(readFileSync(slots.path("pw"), "utf8")).toBe("second");
    run.child.kill("SIGTERM");
    const ran = await run.ended;
    expect([ran.status, ran.text]).toEqual([7, expect.not.stringContaining("SIG")]);
  });

  it("keeps the command running when its token is revoked, and says so", async () => {
    const { token, tokenId } = await wire.createToken("token:admin");
    const run = slots.start(["exec", "--secret", `PW=${name}`, "--", ...program()], {
      env: { SLOTS_TOKEN: token },
    });
    await waitFor("the start", () => run.stdout().includes("start first"));
    await wire.call(AdminService.method.revokeToken, { tokenId });
    await waitFor("the notice", () => /refuses this identity.*keeps running/.test(run.stderr()));
    expect(run.stderr()).not.toContain(token);
    expect(run.child.exitCode).toBeNull();
    run.child.kill("SIGTERM");
    expect((await run.ended).status).toBe(7);
  });

  it("refuses values that an environment can't hold, secrets that are not there, and nonsense", async () => {
    await wire.put(`${name}/nul`, 0n, "a\0b");
    await wire.put(`${name}/binary`, 0n, Uint8Array.of(0xff, 0xfe));
    for (const [bad, says] of [
      [`${name}/nul`, /has a NUL[\s\S]*--file/],
      [`${name}/binary`, /no UTF-8[\s\S]*--file/],
    ] as const) {
      const ran = await slots.run(["exec", "--secret", `PW=${bad}`, "--", "echo", "started"]);
      expect([ran.status, ran.text, ran.stderr]).toEqual([7, "", expect.stringMatching(says)]);
    }
    const missing = await slots.run([
      "exec",
      "--secret",
      "PW=exec/none",
      "--wait",
      "1",
      "--",
      "echo",
      "started",
    ]);
    expect([missing.status, missing.text, missing.stderr]).toEqual([
      5,
      "",
      expect.stringContaining("does not exist"),
    ]);
    for (const flags of [
      [],
      ["--secret", "PW"],
      ["--secret", "1=a"],
      ["--secret", `PW=${name}`, "--on-change", "signal:NO"],
    ]) {
      expect((await slots.run(["exec", ...flags, "--", "echo", "started"])).status).toBe(2);
    }
  });
});
