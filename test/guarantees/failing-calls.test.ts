import { join } from "node:path";
import { expect, test } from "vitest";
import { failWith, replayOf } from "./support/failures.ts";
import { judged, liveWith, PHASES, type PlannedFault, planFaults } from "./support/fault-plan.ts";
import { Lane } from "./support/lane.ts";
import { needs } from "./support/needs.ts";
import { Progress } from "./support/progress.ts";
import { countOf, countOrEvery, Random, seedOf } from "./support/random.ts";
import { afterwards, folder } from "./support/scratch.ts";
import { limitMs } from "./support/time-limit.ts";

const FAULTS = countOrEvery("SLOTS_TEST_FAULTS", 24);
/** How many of these to leave out: the variable names the first, where a run goes on that was stopped. */
const FROM = countOf("SLOTS_TEST_FAULTS_FROM", 1) - 1;
/** No life is quite like another: a call that one came to may be missing from the next, which is then tried again. */
const TRIES = 8;

/** Chooses the fault of a round's first, second, … try. */
type Choice = (tries: number) => PlannedFault;

/** Nothing else keeps what is new but the flushes of its start: each of them fails, in each run. */
function flushesOfStarts(planned: readonly PlannedFault[]): readonly PlannedFault[] {
  return planned.filter(({ phase, call }) => phase === "start" && call.endsWith("sync"));
}

/** Start, load and stop in turn, and in each of them all calls in turn, at a place by chance. */
function sample(planned: readonly PlannedFault[], random: Random, count: number): readonly Choice[] {
  const strata = PHASES.map((phase) => {
    const groups = Map.groupBy(
      planned.filter((each) => each.phase === phase),
      ({ life, call }) => `${life} ${call}`,
    );
    return shuffled([...groups.values()], random);
  });
  return Array.from({ length: count }, (_, round) => {
    const inPhase = strata[round % PHASES.length]!;
    const stratum = inPhase[Math.floor(round / PHASES.length) % inPhase.length]!;
    const chance = random.fork();
    return (tries) => chance.pick(tries < TRIES / 2 ? stratum : chance.pick(inPhase));
  });
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  return items
    .map((item) => ({ item, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

test(
  FAULTS === "every"
    ? "each call on a file that fails is told, or ends the server, and loses nothing (D2, D5)"
    : `each failed flush of a start, and ${FAULTS} failing calls on files, are told, or end the server, and lose nothing (D2, D5)`,
  async (context) => {
    if (!needs("strace")) {
      context.skip();
      return;
    }
    const seed = seedOf("failing calls");
    const random = new Random(seed);
    const log = join(folder(), "calls");
    // Files of the audit log are short, so that one life sees several.
    const newLane = () => {
      const made = new Lane({
        ...{ random: random.fork(), writers: 4 },
        serverArgs: ["--audit-segment-bytes", "4096"],
      });
      afterwards(() => made.dispose());
      return made;
    };
    let lane = newLane();
    await lane.warmUp();
    await lane.dispose();

    lane = newLane();
    const first = await planFaults(lane, "first", log);
    const later = await planFaults(lane, "later", log);
    // What a first life does beside its start, a later one does as well.
    const again = new Set(later.map(({ call, file }) => `${call} ${file}`));
    const planned = [
      ...first.filter(({ phase, call, file }) => phase === "start" || !again.has(`${call} ${file}`)),
      ...later,
    ];
    const choices: readonly Choice[] =
      FAULTS === "every"
        ? planned.map((fault) => () => fault)
        : [...flushesOfStarts(planned).map((fault) => () => fault), ...sample(planned, random, FAULTS)];

    let lives = 0;
    /** Says what came of it; undefined when no try came to the call. */
    const attempt = async (round: number, choose: Choice): Promise<string | undefined> => {
      for (let tries = 0; tries < (FAULTS === "every" ? 2 : TRIES); tries += 1) {
        const fault = choose(tries);
        const { phase, call, error } = fault;
        try {
          if (fault.life === "first") {
            await lane.dispose();
            lane = newLane();
          }
          lives += 1;
          const life = await liveWith(fault, lane, log);
          const outcome = life.hits.length > 0 ? judged(life) : undefined;
          await lane.begin();
          await lane.killAll();
          expect(await lane.atRest()).toEqual([]);
          if (outcome !== undefined) return `${phase}, ${call} ${error}: ${outcome}`;
        } catch (cause) {
          const details = `number ${FROM + round + 1}: ${JSON.stringify(fault)}\n${String(cause)}`;
          failWith("failing-call", replayOf("failing-calls", seed), details);
        }
      }
      return undefined;
    };

    const rounds = choices.slice(FROM);
    const progress = new Progress("failing calls", rounds.length);
    const counts: Record<string, number> = {};
    const missed: string[] = [];
    for (const [round, choose] of rounds.entries()) {
      const reaches = await attempt(round, choose);
      if (reaches === undefined) missed.push(JSON.stringify(choose(0)));
      else counts[reaches] = (counts[reaches] ?? 0) + 1;
      await progress.step();
    }
    const sum = `${rounds.length - missed.length} of ${planned.length} calls failed in ${lives} lives`;
    console.log(`${sum}, ${progress.seconds} s:`, counts);
    if (missed.length > 0) console.log(`not reached: ${missed.join(", ")}`);
    // Files that are made now and then, and flushes that writers share, are not the same in each life.
    expect(missed.length).toBeLessThanOrEqual(FAULTS === "every" ? rounds.length / 10 : 0);
    if (FROM > 0 || (FAULTS !== "every" && FAULTS < 24)) return;
    for (const phase of PHASES) {
      expect(Object.keys(counts)).toContainEqual(expect.stringMatching(new RegExp(`^${phase}, `)));
    }
    expect(Object.keys(counts)).toContainEqual(expect.stringMatching(/sync EIO: ended$/));
  },
  limitMs(FAULTS === "every" ? 5_000 : FAULTS, 60_000),
);
