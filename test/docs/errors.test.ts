import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { REASONS } from "../../src/domain/errors.ts";

it("documents every reason with its code, and no other", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/errors.md"), "utf8");
  const [server = ""] = text.split("## Made by the clients");
  const documented = [...server.matchAll(/^\| ([A-Z_]+) \| ([A-Z_]+) \|/gm)].map(([, reason, code]) => [
    reason,
    code,
  ]);
  expect(Object.fromEntries(documented)).toEqual(REASONS);
});
