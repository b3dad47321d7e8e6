import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { SETTINGS, type SettingName, variableOf } from "../../src/settings.ts";

/** The table of docs/operating.md, made from the settings themselves. */
function settingsTable(): string {
  const rows = Object.entries(SETTINGS).map(([name, setting]) => {
    const flag = "value" in setting ? `--${name} ${setting.value}` : `--${name}`;
    const standard = setting.schema.safeParse(undefined);
    const fallback = standard.success && standard.data !== undefined ? String(standard.data) : "";
    return `| \`${flag}\` | \`${variableOf(name as SettingName)}\` | ${fallback} | ${setting.help} |`;
  });
  return ["| flag | variable | default | what it does |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

it("documents every setting as it is", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/operating.md"), "utf8");
  expect(text).toContain(settingsTable());
});
