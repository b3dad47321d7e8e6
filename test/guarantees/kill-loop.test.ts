import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { failWith } from "./support/failures.ts";
import { Lane } from "./support/lane.ts";
import { needs } from "./support/needs.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { countedCalls, counting, injecting, sawKill } from "./support/strace.ts";
import { limitMs } from "./support/time-limit.ts";

const KILLS = countOf("SLOTS_TEST_KILLS", 300);
const MOST_WRITES = 60;
const START_MS = 700;
const CALL_KILLS = countOf("SLOTS_TEST_CALL_KILLS", 16);
/** Answered in each life that such a kill ends. */
const CALL_WRITES = 40;
/** Calls that change the disk. */
const CALLS = ["fsync", "fdatasync", "pwrite64", "ftruncate", "unlink", "link", "rename", "mkdir"];

const lanes: Lane[] = [];

afterEach(async () => {
  await Promise.all(lanes.splice(0).map((lane) => lane.dispose()));
});

test(
  `${KILLS} kills at random times under load lose nothing that was answered (D1, D2, W9)`,
  async () => {
    const seed = seedOf("kill loop");
    const random = new Random(seed);
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
      expect(await lane.atRest()).toEqual([]);
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
  limitMs(KILLS, 20_000),
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
    const folder = mkdtempSync(join(tmpdir(), "slots-call-kills-"));
    const log = join(folder, "calls");
    const newLane = () => {
      const lane = new Lane({ random: random.fork(), writers: 4 });
      lanes.push(lane);
      return lane;
    };
    // Two lives that are only watched, the first and a later one, tell which calls there are to be killed in.
    const watched = async (lane: Lane) => {
      await lane.underFault({ under: counting(CALLS, log), writes: CALL_WRITES });
      // The most frequent first: those are the commits.
      return countedCalls(log, lane.dataDir).sort((a, b) => b.most - a.most);
    };
    let lane = newLane();
    const first = await watched(lane);
    await lane.begin();
    await lane.killAll();
    const later = await watched(lane);

    const hits = new Map<string, number>();
    for (let round = 0; round < CALL_KILLS; round += 1) {
      // A third of them meets a first start.
      const isFirst = round % 3 === 0;
      if (isFirst) {
        await lane.dispose();
        lane = newLane();
      }
      const targets = isFirst ? first : later;
      const { call, file, most } = targets[Math.floor(isFirst ? round / 3 : round) % targets.length]!;
      // No life is like another: not the last that were seen.
      const nth = 1 + random.below(Math.ceil(most * 0.7));
      try {
        rmSync(log, { force: true });
        const injection = { call, path: join(lane.dataDir, file), nth, fault: { signal: "KILL" } };
        const exit = await lane.underFault({
          under: injecting(injection, log),
          writes: CALL_WRITES,
          mustEnd: () => sawKill(log),
        });
        const name = `${call} ${file || "."}`;
        hits.set(name, (hits.get(name) ?? 0) + (exit?.signal === "SIGKILL" ? 1 : 0));
        await lane.begin();
        await lane.killAll();
        const problems = await lane.atRest();
        if (problems.length > 0) throw new Error(problems.join("\n"));
      } catch (error) {
        const replay = `SLOTS_TEST_SEED=${seed} SLOTS_TEST_CALL_KILLS=${CALL_KILLS} npm run guarantees -- kill-loop`;
        failWith(
          "call-kill",
          replay,
          `killed in ${call} of ${file}, number ${nth} of a thread\n${String(error)}`,
        );
      }
    }
    rmSync(folder, { recursive: true, force: true });
    const reached = [...hits.values()].reduce((sum, each) => sum + each, 0);
    console.log(
      `${reached} of ${CALL_KILLS} were killed inside the call that was chosen`,
      Object.fromEntries(hits),
    );
    expect(reached).toBeGreaterThan(CALL_KILLS / 2);
  },
  limitMs(CALL_KILLS, 20_000),
);
