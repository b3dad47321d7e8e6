import { readFileSync, writeFileSync } from "node:fs";
import type { Figure, Result } from "./scenario.ts";
import { shown } from "./statistics.ts";

/** The page whose tables are made of the figures: what stands between its `<!-- figures: … -->` and `<!-- end -->`. */
export const PAGE = "docs/performance.md";

/** Between these the figures that are bounded stand, of all scenarios; between others those of one scenario. */
const BOUNDED = "bounded";

export function writeTables(results: readonly Result[]): void {
  writeFileSync(PAGE, withTables(readFileSync(PAGE, "utf8"), results));
}

/** The page with its tables made anew. Throws where one has no figures. */
export function withTables(page: string, results: readonly Result[]): string {
  const places = /(<!-- figures: (\S+) -->\n)[\s\S]*?(<!-- end -->)/g;
  return page.replace(places, (_all, start: string, name: string, end: string) => {
    const shownHere = name === BOUNDED ? results : results.filter(({ scenario }) => scenario === name);
    if (shownHere.length === 0) throw new Error(`${PAGE} shows '${name}', of which there are no figures`);
    const table = name === BOUNDED ? boundedTable(shownHere) : shownHere.map(wholeTable).join("\n");
    return `${start}\n${table}\n\n${end}`;
  });
}

function boundedTable(results: readonly Result[]): string {
  const rows = results.flatMap(({ scenario, figures }) =>
    figures
      .filter(({ must }) => must !== undefined)
      .map(
        (figure) =>
          `| ${row(figure)} | ${figure.must} | ${figure.aim ?? ""} | ${verdict(figure)} | ${scenario} |`,
      ),
  );
  return [
    "| figure | measured | must | aim | | scenario |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

function wholeTable({ figures, node, machine, rounds, seconds, short, scenario }: Result): string {
  const rows = figures.map((figure) => `| ${row(figure)} |`);
  const how = `Node ${node}, ${machine}; ${rounds} rounds of ${seconds} s${short ? ", a short run" : ""}`;
  const drawing = `![${scenario}](performance/${scenario}.svg)`;
  return [`${how}:`, "", "| figure | measured |", "| --- | --- |", ...rows, "", drawing].join("\n");
}

function row(figure: Figure): string {
  const { name, must } = figure;
  const words = inWords(figure);
  return `${name} | ${must === undefined ? words : words.replace(/^\S+/, "**$&**")}`;
}

function verdict({ value, must, aim }: Figure): string {
  const [bound, wish] = [boundOf(must), boundOf(aim)];
  if (bound !== undefined && !holds(bound, value.median)) return "missed";
  return wish === undefined || holds(wish, value.median) ? "✓" : "aim missed";
}

/** `median unit (least – most)`. */
export function inWords({ value, unit }: Pick<Figure, "value" | "unit">): string {
  const { least, median, most } = value;
  const range = least === most ? "" : ` (${shown(least)} – ${shown(most)})`;
  return `${shown(median)}${unit === "" ? "" : ` ${unit}`}${range}`;
}

export interface Bound {
  /** Whether it is the least that is allowed; the most otherwise. */
  readonly least: boolean;
  readonly of: number;
}

export function boundOf(text: string | undefined): Bound | undefined {
  const match = /^(<=|>=) ([0-9.]+)/.exec(text ?? "");
  return match === null ? undefined : { least: match[1] === ">=", of: Number(match[2]) };
}

export function holds({ least, of }: Bound, value: number): boolean {
  return least ? value >= of : value <= of;
}
