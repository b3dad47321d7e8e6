import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Keyring } from "../../src/crypto/keyring.ts";
import { readMasterKeyFile } from "../../src/crypto/master-key-file.ts";
import { ServerProcess } from "../support/server-process.ts";
import { chooseCuts, type Judge, playCuts } from "./support/cuts.ts";
import { failWith } from "./support/failures.ts";
import { needs } from "./support/needs.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { type RecordedRun, recordRun } from "./support/recorded-run.ts";
import { readStoredAudit, type StoredAudit } from "./support/stored-audit.ts";

const STATES = countOf("SLOTS_TEST_AUDIT_CUTS", 800);
const WEAK_STATES = 200;
const SERVED = 3;
const WRITES = 150;

const work = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slots-audit-cut-"));
const state = join(work, "state");

afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Segments are short, so that cuts meet the change from one to the next. */
function recordAudited(random: Random, sync: "fsync" | "write"): Promise<RecordedRun> {
  return recordRun({
    random,
    writes: WRITES,
    discloses: true,
    serverArgs: ["--audit-sync", sync, "--audit-segment-bytes", "16384"],
  });
}

function auditOf(folder: string, run: RecordedRun): Promise<StoredAudit | undefined> {
  const key = join(folder, "data/master.key");
  return readStoredAudit(
    join(folder, "data"),
    existsSync(key) ? new Keyring(readMasterKeyFile(key)) : run.keyring,
  );
}

/** What was answered or sent by then and has no record. */
function missing(run: RecordedRun, time: number, audit: StoredAudit | undefined): readonly string[] {
  const told = new Map<string, number>();
  for (const { record, answered } of run.told) {
    if (answered <= time) told.set(record, (told.get(record) ?? 0) + 1);
  }
  return [...told].flatMap(([record, count]) =>
    (audit?.records.get(record) ?? 0) < (record.startsWith("change") ? 1 : count) ? [record] : [],
  );
}

/** A cut is no crime, whatever it took of the log; with `whole`, it may take nothing that was answered or sent. */
function judgeAudit(run: RecordedRun, whole: boolean): Judge {
  return async (folder, time) => {
    try {
      const audit = await auditOf(folder, run);
      if (audit !== undefined && audit.accusations.length > 0)
        return `verification accuses: ${audit.accusations.join("; ")}`;
      const lost = whole ? missing(run, time, audit) : [];
      return lost.length > 0 ? `no record of ${lost.join(", ")}` : undefined;
    } catch (error) {
      return String(error);
    }
  };
}

test(
  `${STATES} power cuts with audit-sync=fsync take no record of what left the server (S4)`,
  async (context) => {
    if (!needs("strace")) {
      context.skip();
      return;
    }
    const seed = seedOf("power cuts, audit log");
    const random = new Random(seed);
    const run = await recordAudited(random.fork(), "fsync");
    const problems = await playCuts(
      run,
      chooseCuts(run, STATES, random.fork()),
      state,
      judgeAudit(run, true),
    );
    console.log(`${STATES} states of ${run.calls.length} calls; ${run.told.length} answers and events`);
    if (problems.length > 0) {
      const replay = `SLOTS_TEST_SEED=${seed} SLOTS_TEST_AUDIT_CUTS=${STATES} npm run guarantees -- audit-power-cut`;
      failWith("audit-cut", replay, `${problems.length} states are wrong\n${problems.join("\n")}`);
    }

    // A few of them by the next start, which adds what was committed and not answered yet.
    const served = await playCuts(
      run,
      chooseCuts(run, SERVED, random.fork()),
      state,
      async (folder, time) => {
        const server = await ServerProcess.start({ dataDir: join(folder, "data") });
        await server.stop();
        const audit = await auditOf(folder, run);
        const problems = [
          ...missing(run, time, audit),
          ...(audit?.accusations ?? []),
          ...(audit?.unrecorded ?? []),
        ];
        return problems.length > 0 ? problems.join("; ") : undefined;
      },
    );
    expect(served).toEqual([]);
  },
  Math.max(900_000, STATES * 200),
);

test("with audit-sync=write a power cut takes records and still accuses nobody (the checker's own test)", async (context) => {
  if (!needs("strace")) {
    context.skip();
    return;
  }
  const seed = seedOf("power cuts, audit log unflushed");
  const random = new Random(seed);
  const run = await recordAudited(random.fork(), "write");
  let short = 0;
  const judge = judgeAudit(run, false);
  const problems = await playCuts(
    run,
    chooseCuts(run, WEAK_STATES, random.fork()),
    state,
    async (folder, time) => {
      const problem = await judge(folder, time);
      if (problem !== undefined) return problem;
      if (missing(run, time, await auditOf(folder, run)).length > 0) short += 1;
      return undefined;
    },
  );
  console.log(`${short} of ${WEAK_STATES} states had no record of something that left the server`);
  if (problems.length > 0) {
    const replay = `SLOTS_TEST_SEED=${seed} npm run guarantees -- audit-power-cut`;
    failWith("audit-cut", replay, `${problems.length} states are wrong\n${problems.join("\n")}`);
  }
  expect(short).toBeGreaterThan(0);
});
