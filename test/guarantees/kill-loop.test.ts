import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { failWith } from "./support/failures.ts";
import { Lane } from "./support/lane.ts";
import { needs } from "./support/needs.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { injecting } from "./support/strace.ts";

const KILLS = countOf("SLOTS_TEST_KILLS", 300);
const MOST_WRITES = 60;
const START_MS = 700;
const CALL_KILLS = countOf("SLOTS_TEST_CALL_KILLS", 16);
/** Calls that change the disk, and how many of them a thread makes in a start and a short load. */
const CALLS = {
  fsync: 14,
  pwrite64: 80,
  fdatasync: 3,
  ftruncate: 3,
  unlink: 6,
  link: 2,
  rename: 1,
  mkdir: 2,
};

const lanes: Lane[] = [];

afterEach(async () => {
  await Promise.all(lanes.splice(0).map((lane) => lane.dispose()));
});

test(
  `${KILLS} kills at random times under load lose nothing that was answered (D1, D2, W9)`,
  async () => {
    const seed = seedOf("kill loop");
    const random = new Random(seed);
    const checked = needs("sqlite3");
    const began = Date.now();
    // Stores of their own, side by side, so that a server that starts leaves no processor idle. The last has two
    // servers: what one was killed in must be seen through the other, with no restart.
    const all = [1, 1, 2].map((servers) => new Lane({ random: random.fork(), servers }));
    lanes.push(...all);
    const total = () => all.reduce((sum, { kills }) => sum + kills, 0);

    await all[0]?.warmUp();
    const play = async (lane: Lane, chance: Random, servers: number) => {
      while (total() < KILLS) {
        await lane.begin();
        await lane.round(chance.below(MOST_WRITES));
        if (servers === 1 && chance.chance(0.25)) await lane.killInStart(chance.below(START_MS));
      }
      await lane.begin();
      await lane.killAll();
      if (checked) expect(lane.integrity()).toBe("ok");
    };
    try {
      await Promise.all(all.map((lane, index) => play(lane, random.fork(), index === 2 ? 2 : 1)));
    } catch (error) {
      const replay = `SLOTS_TEST_SEED=${seed} SLOTS_TEST_KILLS=${KILLS} npm run guarantees -- kill-loop`;
      failWith("kill-loop", replay, error instanceof Error ? (error.stack ?? error.message) : String(error));
    }

    const sum = (of: (lane: Lane) => number) => all.reduce((total, lane) => total + of(lane), 0);
    const resumes = sum(({ watchers }) => watchers.reduce((each, { resumes }) => each + resumes, 0));
    console.log(
      `${total()} kills (${sum(({ killsInStart }) => killsInStart)} during start), ` +
        `${sum(({ answered }) => answered)} writes answered, ${resumes} watches resumed, ` +
        `${Math.round((Date.now() - began) / 1000)} s`,
    );
    expect(sum(({ answered }) => answered)).toBeGreaterThan(KILLS);
    expect(resumes).toBeGreaterThan(KILLS);
  },
  Math.max(900_000, KILLS * 4000),
);

test(
  `${CALL_KILLS} kills inside a system call lose nothing that was answered (D1, D2, W9)`,
  async (context) => {
    if (!needs("strace")) {
      context.skip();
      return;
    }
    const seed = seedOf("kills inside calls");
    const random = new Random(seed);
    const log = join(mkdtempSync(join(tmpdir(), "slots-call-kills-")), "injected");
    let hits = 0;
    let lane: Lane | undefined;
    for (let round = 0; round < CALL_KILLS; round += 1) {
      // A third of them meets a first start.
      if (round % 3 === 0 || lane === undefined) {
        await lane?.dispose();
        lane = new Lane({ random: random.fork(), writers: 4 });
        lanes.push(lane);
      }
      const call = random.pick(Object.keys(CALLS)) as keyof typeof CALLS;
      const nth = 1 + random.below(CALLS[call]);
      try {
        rmSync(log, { force: true });
        const exit = await lane.underFault(
          injecting({ call, nth, fault: { signal: "KILL" } }, log),
          40,
          () => false,
        );
        hits += exit === undefined ? 0 : 1;
        await lane.begin();
        await lane.killAll();
      } catch (error) {
        const replay = `SLOTS_TEST_SEED=${seed} SLOTS_TEST_CALL_KILLS=${CALL_KILLS} npm run guarantees -- kill-loop`;
        failWith("call-kill", replay, `killed in ${call}, number ${nth} of a thread\n${String(error)}`);
      }
    }
    rmSync(dirname(log), { recursive: true, force: true });
    console.log(`${hits} of ${CALL_KILLS} were killed inside the call that was chosen`);
    expect(hits).toBeGreaterThan(0);
  },
  Math.max(900_000, CALL_KILLS * 20_000),
);
