import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { DRAWN, drawAll } from "./draw.ts";
import { fanOut } from "./fan-out.ts";
import { peers } from "./peers.ts";
import { reads } from "./reads.ts";
import { scale, upkeepOfMany } from "./scale.ts";
import type { Plan, Result, Scenario } from "./scenario.ts";
import { shown } from "./statistics.ts";
import { PAGE, writeTables } from "./tables.ts";
import { watches } from "./watches.ts";
import { workers } from "./workers.ts";
import { writes } from "./writes.ts";

const SCENARIOS: readonly Scenario[] = [reads, writes, watches, fanOut, workers, peers, scale, upkeepOfMany];

const { values } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
    profile: { type: "boolean", default: false },
    rounds: { type: "string" },
    seconds: { type: "string" },
    store: { type: "string" },
    json: { type: "string", default: "bench/results/latest.json" },
    draw: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(
    [
      "npm run bench -- [--short] [--only NAME] [--rounds N] [--seconds S] [--profile]",
      "  [--store DIR] [--json FILE] [--draw]",
      `  --only     ${SCENARIOS.map(({ name }) => name).join(", ")}; may be repeated`,
      "  --short    fewer rounds, smaller stores, fewer watchers",
      "  --rounds   how often A and B take turns; 7, and 3 for scale and upkeep or with --short",
      "  --seconds  how long each is measured in a round; 5, 3 for scale and upkeep, 2 with --short",
      "  --profile  writes .cpuprofile files of the servers to bench/results/profiles: see bench/profile.ts",
      "  --store    what 'node bench/generate.ts' made, for scale and upkeep, which make their own otherwise",
      "  --json     where the figures go, default bench/results/latest.json",
      `  --draw     puts them into ${DRAWN}, too, beside those of other scenarios, draws it, and writes its tables into`,
      `             ${PAGE}`,
    ].join("\n"),
  );
  process.exit(0);
}

/** What runs for many minutes by itself has fewer rounds. */
function planOf({ name, heavy }: Scenario): Plan {
  const usual = values.short ? { rounds: 3, seconds: 2 } : heavy ? HEAVY : { rounds: 7, seconds: 5 };
  return {
    rounds: Number(values.rounds ?? usual.rounds),
    seconds: Number(values.seconds ?? usual.seconds),
    short: values.short,
    profile: values.profile ? `bench/results/profiles/${name}` : undefined,
    largeStore: values.store,
  };
}
const HEAVY = { rounds: 3, seconds: 3 };

const machine = `${cpus().length} × ${cpus()[0]?.model}, Linux ${release()}`;
const results: Result[] = [];
for (const scenario of SCENARIOS) {
  if (values.only !== undefined && !values.only.includes(scenario.name)) continue;
  console.log(`measuring ${scenario.name} …`);
  const plan = planOf(scenario);
  const { rounds, seconds, short } = plan;
  const figures = await scenario.run(plan);
  if (figures.length === 0) continue;
  results.push({ scenario: scenario.name, node: process.version, machine, rounds, seconds, short, figures });
}

console.log(`\nNode ${process.version}, ${machine}; median (least - most)`);
for (const { name, unit, value, must, aim } of results.flatMap(({ figures }) => figures)) {
  const spreadText = `(${shown(value.least)} - ${shown(value.most)})`;
  const bounds = [must, aim && `aim ${aim}`].filter(Boolean).join(", ");
  console.log(
    `  ${name.padEnd(56)} ${shown(value.median).padStart(9)} ${unit.padEnd(8)} ${spreadText.padEnd(22)} ${bounds}`,
  );
}
save(values.json, results);
if (values.draw) {
  const measured = results.map(({ scenario }) => scenario);
  const others = (JSON.parse(readFileSync(DRAWN, "utf8")) as Result[]).filter(
    ({ scenario }) => !measured.includes(scenario),
  );
  const order = SCENARIOS.map(({ name }) => name);
  const all = [...others, ...results].sort((a, b) => order.indexOf(a.scenario) - order.indexOf(b.scenario));
  save(DRAWN, all);
  drawAll(all);
  writeTables(all);
}

function save(file: string, what: readonly Result[]): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(what, null, 2)}\n`);
}
