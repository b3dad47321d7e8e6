import { execFileSync, spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NODE, ServerProcess, SLOTS } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";
import { PATIENT, Slots } from "./slots.ts";

const HAS_SCRIPT = works("script", ["--version"]);
if (!HAS_SCRIPT)
  console.warn("SKIPPED: the program 'script' is not installed, so nothing was tried at a terminal");

describe.skipIf(!HAS_SCRIPT)("slots at a terminal", PATIENT, () => {
  let server: ServerProcess;
  let slots: Slots;
  let wire: Wire;
  beforeAll(async () => {
    server = await ServerProcess.start();
    slots = new Slots(server);
    wire = new Wire(server.address, server.adminToken);
    await wire.put("app/db", 0n, "value");
  });
  afterAll(async () => {
    wire?.close();
    slots?.dispose();
    await server?.dispose();
  });

  /** Runs in a pseudo terminal; both outputs are what the terminal shows. */
  function atTerminal(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const { NO_COLOR: _, FORCE_COLOR: __, ...inherited } = process.env;
    const command = [NODE, SLOTS, "--address", server.address, ...args].join(" ");
    const child = spawn("script", ["-qefc", command, "/dev/null"], {
      cwd: server.dataDir,
      env: { ...inherited, TERM: "xterm", SLOTS_TOKEN: server.adminToken, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    let shown = "";
    child.stdout.on("data", (chunk: Buffer) => {
      shown += chunk;
    });
    const ended = new Promise<{ status: number | null; shown: string }>((resolve) => {
      child.once("close", (status) => resolve({ status, shown }));
    });
    return { type: (text: string) => child.stdin.write(text), shown: () => shown, ended };
  }

  it("takes a typed value unseen, without the newline at its end", async () => {
    const put = atTerminal(["put", "typed/db", "--slot", "0"]);
    await waitFor("the prompt", () => put.shown().includes("end with Ctrl-D"));
    put.type("first lina\u007fe\rsecond line\r\u0004");
    const { status, shown } = await put.ended;
    expect([status, shown]).toEqual([0, expect.stringContaining("typed/db: slot 0")]);
    expect(shown).not.toContain("second line");
    expect(await slots.ok(["get", "typed/db"])).toBe("first line\nsecond line");
  });

  it("puts nothing when it is interrupted", async () => {
    const put = atTerminal(["put", "typed/none", "--slot", "0"]);
    await waitFor("the prompt", () => put.shown().includes("end with Ctrl-D"));
    put.type("half a val\u0003");
    expect(await put.ended).toEqual({ status: 1, shown: expect.stringContaining("nothing was put") });
    expect((await slots.run(["get", "typed/none"])).status).toBe(3);
  });

  it("asks before what can't be undone, and takes only the name for yes", async () => {
    await wire.put("asked/db", 0n, "x");
    for (const [answer, status] of [
      ["yes", 1],
      ["asked/db", 0],
    ] as const) {
      const run = atTerminal(["delete", "asked/db"]);
      await waitFor("the question", () => run.shown().includes("Type the name"));
      run.type(`${answer}\r`);
      expect((await run.ended).status).toBe(status);
      expect((await slots.run(["get", "asked/db"])).status).toBe(status === 0 ? 3 : 0);
    }
  });

  it("ends a printed value with a newline, and uses colours unless told not to", async () => {
    expect((await atTerminal(["get", "app/db"]).ended).shown).toBe("value\r\n");
    expect((await atTerminal(["describe", "app/db"]).ended).shown).toContain("\u001b[32m");
    expect((await atTerminal(["describe", "app/db"], { NO_COLOR: "1" }).ended).shown).not.toContain("\u001b");
  });

  it("shows progress of long work", async () => {
    const { status, shown } = await atTerminal(["backup", "create", "-o", "progress.backup"]).ended;
    expect([status, shown]).toEqual([0, expect.stringMatching(/backup: 100 %/)]);
  });
});

function works(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
