import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Figure, Result } from "./scenario.ts";
import { boundOf, holds, inWords, writeTables } from "./tables.ts";

/** The figures that the documentation shows; its drawings lie beside it, one for each scenario. */
export const DRAWN = "docs/performance/figures.json";

const WIDTH = 960;
const ROW = 46;
const TOP = 64;
/** Where the scale of a row begins and ends. */
const [FROM, TO] = [390, 730];

const TITLES: Readonly<Record<string, string>> = {
  reads: "Reads, beside handlers that do nothing",
  writes: "Durable writes",
  watches: "A rotation, and who waits for it",
  "fan-out": "A rotation with many watchers",
  peers: "Beside etcd",
  workers: "Two workers",
  scale: "At a million secrets",
  upkeep: "Looking after a million secrets",
};

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 } .small { font-size: 11px; fill: #59636e }
  .paper { fill: #ffffff; stroke: #d1d9e0 } .track { stroke: #d1d9e0; stroke-width: 10 }
  .good { stroke: #b4e4c4; stroke-width: 10 } .bar { fill: #0969da } .missed { fill: #bc4c00 }
  .range { stroke: #1f2328; stroke-width: 1.5 } .must { stroke: #1f2328; stroke-width: 2 }
  .aim { stroke: #1f2328; stroke-width: 2; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #a4adb8 } .paper { fill: #0d1117; stroke: #3d444d }
    .track { stroke: #3d444d } .good { stroke: #1f6f3a } .bar { fill: #58a6ff } .missed { fill: #f0883e }
    .range, .must, .aim { stroke: #f0f6fc }
  }`;

export function drawAll(results: readonly Result[]): void {
  for (const result of results) writeFileSync(fileOf(result), draw(result));
}

export function fileOf({ scenario }: Result): string {
  return join(dirname(DRAWN), `${scenario}.svg`);
}

/**
 * A row for each figure: a bar to the median, a line from the least to the most, and where bounds are promised a solid
 * mark at what it must be and a dashed one at the aim, with the good side tinted. A figure with bounds has a scale of
 * its own; the others of one unit share theirs.
 */
export function draw({ scenario, figures, node, machine, rounds, seconds, short }: Result): string {
  const shared = new Map<string, number>();
  for (const figure of figures) {
    if (figure.must === undefined)
      shared.set(figure.unit, Math.max(shared.get(figure.unit) ?? 0, endOf(figure)));
  }
  const rows = figures.map((figure, index) => {
    const end = figure.must === undefined ? (shared.get(figure.unit) ?? 1) : endOf(figure);
    return row(figure, TOP + index * ROW, end * 1.08 || 1);
  });
  const height = TOP + figures.length * ROW + 34;
  const title = TITLES[scenario] ?? scenario;
  const how = `Node ${node}, ${machine}; ${rounds} rounds of ${seconds} s${short ? ", a short run" : ""}`;
  const words = figures.map((figure) => `${figure.name}: ${inWords(figure)}`).join("; ");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title words">
<title id="title">${escaped(title)}</title>
<desc id="words">${escaped(words)}</desc>
<style>${STYLE}
</style>
<rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>
<text class="title" x="20" y="32">${escaped(title)}</text>
<text class="small" x="20" y="50">bar: median; line: least to most; solid mark: must; dashed mark: aim</text>
${rows.join("\n")}
<text class="small" x="20" y="${height - 14}">${escaped(how)}</text>
</svg>
`;
}

function row(figure: Figure, top: number, end: number): string {
  const { name, value, must, aim } = figure;
  const at = (of: number) => round(FROM + ((TO - FROM) * Math.min(of, end)) / end);
  const middle = top + 18;
  const [bound, wish] = [boundOf(must), boundOf(aim)];
  const missed = bound !== undefined && !holds(bound, value.median);
  const parts = [
    `<text x="20" y="${middle + 4}">${escaped(name)}</text>`,
    `<line class="track" x1="${FROM}" y1="${middle}" x2="${TO}" y2="${middle}"/>`,
  ];
  if (bound !== undefined) {
    const [from, to] = bound.least ? [at(bound.of), TO] : [FROM, at(bound.of)];
    parts.push(`<line class="good" x1="${from}" y1="${middle}" x2="${to}" y2="${middle}"/>`);
  }
  parts.push(
    `<rect class="${missed ? "missed" : "bar"}" x="${FROM}" y="${middle - 3}" width="${round(at(value.median) - FROM)}" height="6"/>`,
    `<line class="range" x1="${at(value.least)}" y1="${middle}" x2="${at(value.most)}" y2="${middle}"/>`,
  );
  for (const [kind, mark, other] of [
    ["must", bound, wish],
    ["aim", wish, bound],
  ] as const) {
    if (mark === undefined) continue;
    const x = at(mark.of);
    // Two marks that are close have their words on their far sides.
    const anchor =
      other !== undefined && mark.of < other.of ? "end" : other === undefined ? "middle" : "start";
    parts.push(
      `<line class="${kind}" x1="${x}" y1="${middle - 9}" x2="${x}" y2="${middle + 9}"/>`,
      `<text class="small" x="${x}" y="${middle + 21}" text-anchor="${anchor}">${kind} ${escaped(String(mark.of))}</text>`,
    );
  }
  parts.push(
    `<text x="${TO + 14}" y="${middle + 4}">${escaped(inWords(figure))}${missed ? " ✗" : ""}</text>`,
  );
  return parts.join("\n");
}

function endOf({ value, must, aim }: Figure): number {
  return Math.max(value.most, boundOf(must)?.of ?? 0, boundOf(aim)?.of ?? 0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

if (import.meta.main) {
  const results = JSON.parse(readFileSync(DRAWN, "utf8")) as Result[];
  drawAll(results);
  writeTables(results);
}
