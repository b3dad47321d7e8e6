import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DRAWN, draw, fileOf } from "../../bench/draw.ts";
import type { Result } from "../../bench/scenario.ts";
import { PAGE, withTables } from "../../bench/tables.ts";

const results = JSON.parse(readFileSync(DRAWN, "utf8")) as readonly Result[];

test("the drawings are what `bench/draw.ts` makes of the figures, and all are shown", () => {
  const page = readFileSync(PAGE, "utf8");
  for (const result of results) {
    expect(readFileSync(fileOf(result), "utf8")).toBe(draw(result));
    expect(page).toContain(`(${fileOf(result).replace("docs/", "")})`);
  }
});

test("the page's tables are what `bench/tables.ts` makes of the figures", () => {
  const page = readFileSync(PAGE, "utf8");
  expect(page).toContain("<!-- figures: bounded -->");
  expect(withTables(page, results)).toBe(page);
});

test("a drawing says what was measured, against which bounds, and whether they are met", () => {
  const value = { least: 0.7, median: 0.8, most: 0.9 };
  const figures = [
    { name: "A : B & C", unit: "", value, must: ">= 0.75", aim: ">= 0.9" },
    { name: "late", unit: "ms", value: { least: 3, median: 12, most: 1234.5 }, must: "<= 10" },
  ];
  const conditions = { node: "v1", machine: "2 × CPU", rounds: 7, seconds: 5, short: true };
  const drawing = draw({ scenario: "reads", figures, ...conditions });
  expect(drawing).toContain("A : B &amp; C: 0.80 (0.70 – 0.90); late: 12.00 ms (3.00 – 1,235)");
  expect([...drawing.matchAll(/>((?:must|aim) [0-9.]+)</g)].map((match) => match[1])).toEqual([
    "must 0.75",
    "aim 0.9",
    "must 10",
  ]);
  expect([...drawing.matchAll(/class="(bar|missed)"/g)].map((match) => match[1])).toEqual(["bar", "missed"]);
  expect(drawing).toContain("7 rounds of 5 s, a short run");
});
