import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { AuditAnchor } from "../../src/audit/audit-log.ts";
import { NO_REVISION } from "../../src/domain/numbers.ts";
import { LogFolder, until } from "./file-log.ts";
import { found } from "./records.ts";

const ROUNDS = 8;

test.each(["write", "fsync"] as const)(
  "S4: a kill loses no record that was answered (%s)",
  async (sync) => {
    const folder = new LogFolder();
    const answered: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const child = fork(join(import.meta.dirname, "writer-process.ts"), [folder.path, sync]);
      let last = -1;
      child.on("message", (message: { answered?: number; anchor?: AnchorMessage }) => {
        if (message.answered !== undefined) last = message.answered;
        if (message.anchor !== undefined) folder.anchors.set(message.anchor.chain, anchorOf(message.anchor));
      });
      await until(() => last > 20 + 10 * round);
      await kill(child);
      answered.push(last);
    }
    const report = await folder.verify();
    expect(report.findings.filter(({ kind }) => kind !== "torn")).toEqual([]);
    expect(report.ok).toBe(true);
    expect(report.chains).toHaveLength(ROUNDS);

    const log = await folder.open();
    const turns = (await found(log)).map(({ fields }) => Number(String(fields.request_id).split(".")[0]));
    await log.close();
    const expected = answered.reduce((total, last) => total + recordsUpTo(last), 0);
    expect(turns.length).toBeGreaterThanOrEqual(expected);
    folder.remove();
  },
  60_000,
);

/** As writer-process.ts sizes its turns. */
function recordsUpTo(turn: number): number {
  let records = 0;
  for (let at = 0; at <= turn; at++) records += 1 + (at % 40);
  return records;
}

interface AnchorMessage extends Omit<AuditAnchor, "head" | "records" | "revision"> {
  readonly head: string;
  readonly records: string;
}

function anchorOf({ head, records, ...rest }: AnchorMessage): AuditAnchor {
  return { ...rest, head: Buffer.from(head, "hex"), records: BigInt(records), revision: NO_REVISION };
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, "close");
  child.kill("SIGKILL");
  await gone;
}
