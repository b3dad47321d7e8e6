import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const EXAMPLES = {
  ts: "clients/typescript/examples/five-lines.js",
  go: "clients/go/examples/five_lines/five_lines.go",
  python: "clients/python/examples/five_lines.py",
  java: "clients/java/examples/src/main/java/io/secretslots/examples/FiveLines.java",
  rust: "clients/rust/examples/five_lines.rs",
} as const;

const linesOf = (text: string) => text.split("\n").map((line) => line.trim());

it.each(Object.entries(EXAMPLES))("shows in the README what the %s example runs", (language, file) => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const block = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "ms").exec(readme)?.[1] ?? "";
  const shown = linesOf(block).filter((line) => line !== "");
  expect(shown.length).toBeGreaterThanOrEqual(5);
  const example = linesOf(readFileSync(join(root, file), "utf8"));
  for (const line of shown) expect(example).toContain(line);
});
