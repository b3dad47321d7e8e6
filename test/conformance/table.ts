import type { Outcomes } from "./play.ts";

/** Cases down, drivers across. */
export function table(
  titles: readonly string[],
  results: readonly { readonly id: string; readonly outcomes: Outcomes }[],
): string {
  const width = Math.max(4, ...results.map(({ id }) => id.length));
  const line = (first: string, cells: readonly string[]): string =>
    [first.padEnd(width), ...cells.map((cell, i) => cell.padEnd(titles[i]!.length))].join("  ").trimEnd();
  const rows = results.map(({ id, outcomes }) => {
    const cells = titles.map((title) => {
      if (!outcomes.has(title)) return "-";
      return outcomes.get(title) === undefined ? "ok" : "FAIL";
    });
    return line(id, cells);
  });
  return ["", line("case", titles), ...rows, ""].join("\n");
}
