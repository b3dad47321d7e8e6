import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const run = promisify(execFile);
const NODE = join(import.meta.dirname, "../node_modules/.bin/node");

/** What an example prints, with what differs from run to run taken out. */
async function printed(name: string): Promise<string[]> {
  const { stdout, stderr } = await run(NODE, [join(import.meta.dirname, name, "main.ts")], {
    timeout: 120_000,
  });
  expect(stderr).toBe("");
  return stdout
    .trim()
    .replace(/process \d+/g, "process N")
    .split("\n");
}

describe("the examples, each by its one command", { timeout: 150_000 }, () => {
  it("jwt-by-slot", async () => {
    expect(await printed("jwt-by-slot")).toEqual([
      "signed with slot 0:",
      "  old token: valid, for alice",
      "rolled over, signing with slot 1 now:",
      "  old token: valid, for alice",
      "  new token: valid, for bob",
      "slot 0 is disabled:",
      expect.stringMatching(/^ {2}old token: refused \(.*no enabled slot at or below 0/),
      "  new token: valid, for bob",
    ]);
  });

  it("jwt-by-iat", async () => {
    expect(await printed("jwt-by-iat")).toEqual([
      "one second before the roll-over:",
      "  old token: valid, for alice",
      "at the roll-over, with nothing done by anybody:",
      "  old token: valid, for alice",
      "  new token: valid, for bob",
      "the old slot is disabled:",
      expect.stringMatching(/^ {2}old token: refused \(.*no enabled slot at or below/),
      "  new token: valid, for bob",
    ]);
  });

  it("rotate-live", async () => {
    expect(await printed("rotate-live")).toEqual([
      "process N, first password:",
      "  program: logging in with the password of slot 0",
      "  program: answer to query 1",
      "the operator rotates: the database takes both, then the new one is put into slot 1:",
      "  program: logging in with the password of slot 1",
      "  program: answer to query 2",
      "the old password is dropped:",
      "  somebody with the old one: the database does not accept the password",
      "  program: answer to query 3",
      "process N, no restart",
    ]);
  });
});
