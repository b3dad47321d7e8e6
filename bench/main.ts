import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { parseArgs } from "node:util";
import { fanOut } from "./fan-out.ts";
import { peers } from "./peers.ts";
import { reads } from "./reads.ts";
import type { Figure, Plan, Scenario } from "./scenario.ts";
import { watches } from "./watches.ts";
import { writes } from "./writes.ts";

const SCENARIOS: readonly Scenario[] = [reads, writes, watches, fanOut, peers];

const { values } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
    profile: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(
    [
      "npm run bench -- [--short] [--only NAME] [--profile] [--json FILE]",
      `  --only     ${SCENARIOS.map(({ name }) => name).join(", ")}`,
      "  --profile  writes .cpuprofile files of the servers",
    ].join("\n"),
  );
  process.exit(0);
}

const plan: Plan = {
  rounds: values.short ? 3 : 7,
  seconds: values.short ? 2 : 5,
  short: values.short,
  profile: values.profile,
};
const figures: (Figure & { readonly scenario: string })[] = [];
for (const scenario of SCENARIOS) {
  if (values.only !== undefined && !values.only.includes(scenario.name)) continue;
  console.log(`measuring ${scenario.name} …`);
  for (const figure of await scenario.run(plan)) figures.push({ ...figure, scenario: scenario.name });
}

const shown = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2));
console.log(
  `\nNode ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, Linux ${release()}; median (least - most) of ${plan.rounds} rounds`,
);
for (const { name, unit, value, must } of figures) {
  const spreadText = `(${shown(value.least)} - ${shown(value.most)})`;
  console.log(
    `  ${name.padEnd(44)} ${shown(value.median).padStart(9)} ${unit.padEnd(8)} ${spreadText.padEnd(22)} ${must ?? ""}`,
  );
}
if (values.json !== undefined) {
  mkdirSync("bench/results", { recursive: true });
  writeFileSync(values.json, `${JSON.stringify({ node: process.version, plan, figures }, null, 2)}\n`);
}
