import { parseArgs } from "node:util";
import { benchmark } from "./benchmark.ts";
import { type Case, loadCases } from "./cases.ts";
import { DriverProcess } from "./driver-process.ts";
import { hammer } from "./hammer.ts";
import { build, findManifests, type Manifest, missingTools, titleOf } from "./manifest.ts";
import { closeStage, type Outcomes, openStage, play } from "./play.ts";
import { table } from "./table.ts";

const { values: flags } = parseArgs({
  options: {
    /** Comma-separated: go (with go-stubs), python-stubs ... */
    lang: { type: "string" },
    /** Only cases whose id holds this text; `hammer` and `bench` are ids too. */
    case: { type: "string", default: "" },
    verbose: { type: "boolean", default: false },
  },
});

/** Builds and starts the drivers wanted; says loudly which are left out. Gives how many could not be had. */
async function startDrivers(
  wanted: readonly Manifest[],
): Promise<{ drivers: DriverProcess[]; failed: number }> {
  const drivers: DriverProcess[] = [];
  let failed = 0;
  for (const manifest of wanted) {
    const title = titleOf(manifest);
    const missing = await missingTools(manifest);
    if (missing.length > 0) {
      console.log(`!!! SKIPPED ${title}: not on this machine: ${missing.join(", ")} !!!`);
      if (process.env.CI === "true") failed++;
      continue;
    }
    const start = performance.now();
    let driver: DriverProcess | undefined;
    try {
      await build(manifest);
      driver = new DriverProcess(manifest, flags.verbose);
      const hello = await driver.ask("hello", {}, 60_000);
      drivers.push(driver);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${title}: ${hello.lang} ${hello.version}, ready in ${seconds} s`);
    } catch (error) {
      console.log(`FAILED ${title}: does not build or start\n${(error as Error).message}`);
      if (driver?.stderr) console.log(driver.stderr);
      failed++;
    }
  }
  return { drivers, failed };
}

function driversFor(one: Case, drivers: readonly DriverProcess[]): DriverProcess[] {
  return drivers.filter(({ stubs }) => !stubs || one.stubs === true);
}

const manifests = await findManifests();
const langs = flags.lang?.split(",");
const wanted = manifests.filter(
  (one) => langs?.some((lang) => lang === one.lang || lang === titleOf(one)) ?? true,
);
const cases = (await loadCases()).filter(({ id }) => id.includes(flags.case));
const { drivers, failed: unavailable } = await startDrivers(wanted);
const clients = drivers.filter(({ stubs }) => !stubs);
const results: { id: string; outcomes: Outcomes }[] = [];

const stage = await openStage();
try {
  for (const one of cases) {
    const outcomes = await play(one, driversFor(one, drivers), stage);
    results.push({ id: one.id, outcomes });
    for (const [title, error] of outcomes) {
      if (error !== undefined) console.log(`FAILED ${title}, ${one.id}: ${error.message}`);
    }
  }
  if ("hammer".includes(flags.case)) results.push({ id: "hammer", outcomes: await hammer(clients) });
  if ("bench".includes(flags.case)) await benchmark(clients);
} finally {
  await Promise.all(drivers.map((driver) => driver.close()));
  await closeStage(stage);
}

console.log(
  table(
    drivers.map(({ title }) => title),
    results,
  ),
);
const all = results.flatMap(({ outcomes }) => [...outcomes.values()]);
const failed = all.filter((error) => error !== undefined).length + unavailable;
for (const driver of drivers) {
  const lost = results.some(({ outcomes }) => outcomes.get(driver.title) !== undefined);
  if (lost && driver.stderr !== "")
    console.log(`--- standard error of ${driver.title} ---\n${driver.stderr}`);
}
console.log(`${all.length - (failed - unavailable)} passed, ${failed} failed`);
process.exitCode = failed > 0 || all.length === 0 ? 1 : 0;
