import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import type { Judge } from "./support/cuts.ts";
import { holdPowerCuts } from "./support/power-cuts.ts";
import { countOf } from "./support/random.ts";
import { type RecordedRun, toldBy } from "./support/recorded-run.ts";
import { keysIn } from "./support/store-judges.ts";
import { readStoredAudit, type StoredAudit } from "./support/stored-audit.ts";
import { firstLife, laterLives, STORE, type Story } from "./support/stories.ts";

const STATES = countOf("SLOTS_TEST_AUDIT_CUTS", 800);
/** Of the log's later lives. */
const LATER_STATES = countOf("SLOTS_TEST_LATER_AUDIT_CUTS", 100);
const WEAK_STATES = 200;
const WRITES = 150;

const file = "audit-power-cut";
const limitOf = (states: number) => Math.max(900_000, states * 200);

/** Time and again the disk is full, and the log goes on in its reserve. */
const RESERVED = { reserve: true, planted: "full disk", writes: 60 } as const;

/** Segments are short, so that cuts meet the change from one to the next. */
function audited(random: Story["random"], sync: "fsync" | "write") {
  const serverArgs = ["--audit-sync", sync, "--audit-segment-bytes", "16384"];
  return { random, discloses: true, serverArgs };
}

async function auditOf(folder: string): Promise<StoredAudit | undefined> {
  const dataDir = join(folder, STORE);
  const keyring = keysIn(join(dataDir, "master.key"));
  if (keyring !== undefined) return readStoredAudit(dataDir, keyring);
  if (existsSync(join(dataDir, "store.db"))) throw new Error("the store is there, and its key is not");
  return undefined;
}

/** What was answered or sent by then and has no record. */
function missing(run: RecordedRun, time: number, audit: StoredAudit | undefined): readonly string[] {
  const told = new Map<string, number>();
  for (const record of toldBy(run, time)) told.set(record, (told.get(record) ?? 0) + 1);
  return [...told].flatMap(([record, count]) =>
    (audit?.records.get(record) ?? 0) < (record.startsWith("change") ? 1 : count) ? [record] : [],
  );
}

/** A cut is no crime, whatever it took of the log; `judgeLost` says whether it may take what was answered or sent. */
function judging(run: RecordedRun, judgeLost: (lost: readonly string[]) => string | undefined): Judge {
  return async (folder, time) => {
    try {
      const audit = await auditOf(folder);
      if (audit !== undefined && audit.accusations.length > 0)
        return `verification accuses: ${audit.accusations.join("; ")}`;
      return judgeLost(missing(run, time, audit));
    } catch (error) {
      return String(error);
    }
  };
}

const judgeAudit = (run: RecordedRun) =>
  judging(run, (lost) => (lost.length > 0 ? `no record of ${lost.join(", ")}` : undefined));

/** The next start adds what was committed and not answered yet. */
const serveAudit =
  (run: RecordedRun): Judge =>
  async (folder, time) => {
    const server = await ServerProcess.start({ dataDir: join(folder, STORE) });
    await server.stop();
    const audit = await auditOf(folder);
    const problems = [
      ...missing(run, time, audit),
      ...(audit?.accusations ?? []),
      ...(audit?.unrecorded ?? []),
    ];
    return problems.length > 0 ? problems.join("; ") : undefined;
  };

test(
  `${STATES} power cuts with audit-sync=fsync take no record of what left the server (S4)`,
  (context) =>
    holdPowerCuts(context, {
      ...{ file, kind: "an audit log", states: STATES, judge: judgeAudit },
      record: (random) => firstLife({ ...audited(random, "fsync"), writes: WRITES }),
      served: { states: 3, judge: serveAudit },
    }),
  limitOf(STATES),
);

test(
  `${LATER_STATES} power cuts in a log's later lives, with a reserve, take no record either (S4)`,
  (context) =>
    holdPowerCuts(context, {
      ...{ file, kind: "an audit log with a reserve", states: LATER_STATES, judge: judgeAudit },
      record: (random) => laterLives({ ...audited(random, "fsync"), ...RESERVED }),
      served: { states: 2, judge: serveAudit },
    }),
  limitOf(LATER_STATES),
);

test("with audit-sync=write a power cut takes records and still accuses nobody (the checker's own test)", async (context) => {
  let short = 0;
  await holdPowerCuts(context, {
    ...{ file, kind: "an audit log, not flushed", states: WEAK_STATES },
    record: (random) => laterLives({ ...audited(random, "write"), ...RESERVED }),
    judge: (run) =>
      judging(run, (lost) => {
        if (lost.length > 0) short += 1;
        return undefined;
      }),
  });
  console.log(`${short} of ${WEAK_STATES} states had no record of something that left the server`);
  expect(short).toBeGreaterThan(0);
});
