import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { Keyring } from "../../src/crypto/keyring.ts";
import { readMasterKeyFile } from "../../src/crypto/master-key-file.ts";
import { parseToken } from "../../src/crypto/tokens.ts";
import { ServerProcess } from "../support/server-process.ts";
import { Wire } from "../support/wire.ts";
import { chooseCuts, playCuts } from "./support/cuts.ts";
import { failWith } from "./support/failures.ts";
import { integrityOf } from "./support/integrity.ts";
import { shown } from "./support/ledger.ts";
import { needs } from "./support/needs.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { possibleAt, type RecordedRun, recordRun } from "./support/recorded-run.ts";
import { StoredValues } from "./support/stored-values.ts";
import { readContents } from "./support/writer.ts";

const STATES = countOf("SLOTS_TEST_POWER_CUTS", 5000);
/** Enough for several checkpoints, and few enough that most cuts meet another moment of the store's life. */
const WRITES = 300;
const SERVED = 6;
const CHECKED_ONE_IN = 50;
const LIMIT_MS = Math.max(900_000, STATES * 100);

const work = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slots-cut-"));

const state = join(work, "state");

afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Opens what a cut left as a server would, and compares every value with what had been answered by then. */
function judgeStore(run: RecordedRun) {
  let judged = 0;
  return (folder: string, time: number): string | undefined => {
    let store: StoredValues | undefined;
    try {
      // The open below has the library look at each; its own program looks at some.
      judged += 1;
      if (judged % CHECKED_ONE_IN === 0 && existsSync(join(folder, "data/store.db"))) {
        const found = integrityOf(join(folder, "data"));
        if (found !== "ok") return `sqlite3 says: ${found}`;
      }
      const key = join(folder, "data/master.key");
      const keyring = existsSync(key) ? new Keyring(readMasterKeyFile(key)) : undefined;
      store = StoredValues.open(join(folder, "data"), keyring ?? run.keyring);
      if (store !== undefined && keyring === undefined) return "the store is there, and its key is not";
      const token = join(folder, "data/admin.token");
      if (existsSync(token) && parseToken(readFileSync(token, "utf8").trim()) === undefined) {
        return "the admin token's file is there, and holds none: the next start would stop at it";
      }
      for (const [name, history] of run.histories) {
        const possible = possibleAt(history, time);
        const found = store?.contents(name) ?? new Map();
        if (possible.some((contents) => whole(contents) === whole(found))) continue;
        return `${name} holds ${shown(found)} and should hold ${possible.map(shown).join(" or ")}`;
      }
      return undefined;
    } catch (error) {
      return `it does not open: ${String(error)}`;
    } finally {
      store?.close();
    }
  };
}

/** Also what disabled slots hold, which no caller could read. */
function whole(contents: ReadonlyMap<bigint, { readonly state: string; readonly value: string }>): string {
  return JSON.stringify([...contents].map(([slot, held]) => [String(slot), held.state, held.value]).sort());
}

test(
  `${STATES} power cuts lose nothing that was answered (D1, D2, D3)`,
  async (context) => {
    if (!needs("strace")) {
      context.skip();
      return;
    }
    const seed = seedOf("power cuts");
    const random = new Random(seed);
    const began = Date.now();
    const run = await recordRun({ random: random.fork(), writes: WRITES });
    const recorded = Date.now();
    const problems = await playCuts(run, chooseCuts(run, STATES, random.fork()), state, judgeStore(run));
    const seconds = (ms: number) => Math.round(ms / 1000);
    console.log(
      `${STATES} states of ${run.calls.length} calls; recorded in ${seconds(recorded - began)} s, ` +
        `opened in ${seconds(Date.now() - recorded)} s`,
    );
    if (problems.length > 0) {
      const replay = `SLOTS_TEST_SEED=${seed} SLOTS_TEST_POWER_CUTS=${STATES} npm run guarantees -- power-cut`;
      failWith("power-cut", replay, `${problems.length} states are wrong\n${problems.join("\n")}`);
    }

    // A few of them by the server itself: it starts, tells what was answered, and takes writes.
    const served = await playCuts(
      run,
      chooseCuts(run, SERVED, random.fork()),
      state,
      async (folder, time) => {
        const server = await ServerProcess.start({ dataDir: join(folder, "data") });
        const wire = new Wire(server.address, server.adminToken);
        try {
          for (const [name, history] of run.histories) {
            const found = shown(await readContents(wire, name));
            const possible = possibleAt(history, time).map(shown);
            if (!possible.includes(found))
              return `${name} holds ${found} and should hold ${possible.join(" or ")}`;
          }
          await wire.put("after/the-cut", 0n, "written");
          return undefined;
        } finally {
          wire.close();
          await server.kill();
        }
      },
    );
    expect(served).toEqual([]);
  },
  LIMIT_MS,
);

test("the replayer finds what flushing less would lose (its own test)", async (context) => {
  if (!needs("strace")) {
    context.skip();
    return;
  }
  const random = new Random(seedOf("power cuts, weak flushes"));
  const weak = pathToFileURL(join(import.meta.dirname, "support/weak-flushes.ts")).href;
  const env = { NODE_OPTIONS: `--import=${weak}` };
  const run = await recordRun({ random: random.fork(), writes: 120, env });
  const cuts = chooseCuts(run, 300, random.fork());
  const problems = await playCuts(run, cuts, state, judgeStore(run));
  console.log(`${problems.length} of ${cuts.length} states had lost something that was answered`);
  expect(problems.length).toBeGreaterThan(0);
});
