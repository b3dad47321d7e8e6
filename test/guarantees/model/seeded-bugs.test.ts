import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { BUGS, type Bug, isOfClient } from "./bugs/bugs.ts";
import { openWith } from "./bugs/client.ts";
import { check } from "./check.ts";
import { EMPHASISED } from "./program.ts";
import { run } from "./run.ts";
import { seed } from "./seed.ts";
import { World } from "./world.ts";

/** Far more than any of them needed so far. */
const MOST_SEQUENCES = 150;
/** Of each kind, on a server without a bug; many more of them run in model.test.ts. */
const CLEAN_SEQUENCES = 6;
/** Two side by side: a run waits for its server most of the time. */
const LANES = 2;
/** `SLOTS_TEST_ONLY=REGEXP` looks for those alone whose names match. */
const ONLY = process.env.SLOTS_TEST_ONLY ?? "";
const WANTED = BUGS.filter(({ name }) => new RegExp(ONLY).test(name));
if (WANTED.length === 0) throw new Error(`SLOTS_TEST_ONLY: no planted bug is named like '${ONLY}'`);

const REGISTER = new URL("./bugs/register.ts", import.meta.url).href;

describe("bugs planted in a server, or in a client of ours", { concurrent: true }, () => {
  const outcomes = new Map(WANTED.map(({ name }) => [name, Promise.withResolvers<string | undefined>()]));

  beforeAll(() => {
    // An own queue: vitest would start all of them, each with its servers, at once.
    const queue = [...WANTED];
    for (const { promise } of outcomes.values()) promise.catch(() => {});
    for (let lane = 0; lane < LANES; lane++) {
      void (async () => {
        for (let bug = queue.shift(); bug !== undefined; bug = queue.shift()) {
          const outcome = outcomes.get(bug.name);
          await hunt(bug).then(outcome?.resolve, outcome?.reject);
        }
      })();
    }
  });

  test.each(WANTED)("$name", async ({ name }) => {
    const caughtBy = await outcomes.get(name)?.promise;
    expect(caughtBy, `no validator caught it in ${MOST_SEQUENCES} sequences (seed ${seed})`).toBeDefined();
    console.log(`'${name}' ${caughtBy}`);
  });
});

test("no bug, no alarm", async () => {
  const world = await World.start();
  try {
    for (const [emphasis, programs] of Object.entries(EMPHASISED)) {
      for (const [index, program] of fc.sample(programs, { numRuns: CLEAN_SEQUENCES, seed }).entries()) {
        const history = await run(world, program, { prefix: `${emphasis}${index}` });
        expect(check(history), `${emphasis} ${index}`).toEqual([]);
      }
    }
  } finally {
    await world.close();
  }
});

/** What caught it, and how soon. */
async function hunt(bug: Bug): Promise<string | undefined> {
  const open = isOfClient(bug) ? { open: await openWith(bug) } : {};
  const planted = { SLOTS_TEST_BUG: bug.name, NODE_OPTIONS: `--import=${REGISTER}` };
  const world = await World.start({
    servers: Array.from({ length: bug.servers }, () => []),
    env: isOfClient(bug) ? {} : planted,
  });
  try {
    const programs = fc.sample(EMPHASISED[bug.emphasis], { numRuns: MOST_SEQUENCES, seed });
    for (const [index, program] of programs.entries()) {
      const history = await run(world, program, { prefix: `s${index}`, settleMs: 2_500, ...open });
      const broken = new Set(check(history).map(({ promise }) => promise));
      if (broken.size > 0) return `caught by ${[...broken].join(", ")} in sequence ${index + 1}`;
    }
    return undefined;
  } finally {
    await world.close();
  }
}
