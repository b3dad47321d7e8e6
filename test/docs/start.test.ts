import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { NODE_SETTINGS } from "../support/server-process.ts";

it("npm start runs the program with the settings that its first line asks for", () => {
  const text = readFileSync(join(import.meta.dirname, "../../package.json"), "utf8");
  const { scripts } = JSON.parse(text) as { readonly scripts: { readonly start: string } };
  expect(scripts.start).toBe(`node ${NODE_SETTINGS.join(" ")} bin/slots.js serve`);
});
