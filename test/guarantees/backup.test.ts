import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { Wire } from "../support/wire.ts";
import { failWith, replayOf } from "./support/failures.ts";
import { integrityOf } from "./support/integrity.ts";
import { type Contents, shown } from "./support/ledger.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { slotsJson } from "./support/slots-command.ts";
import { limitMs } from "./support/time-limit.ts";
import { readContents, Writer } from "./support/writer.ts";

const BACKUPS = countOf("SLOTS_TEST_BACKUPS", 3);
const WRITES_BETWEEN = 60;

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

test(
  `${BACKUPS} backups under load restore to what the store held at their revision, as a new epoch (D6)`,
  async () => {
    const seed = seedOf("backups");
    const random = new Random(seed);
    const work = mkdtempSync(join(tmpdir(), "slots-backups-"));
    cleanups.push(() => rmSync(work, { recursive: true, force: true }));
    const server = await ServerProcess.start();
    cleanups.push(() => server.dispose());
    const wire = new Wire(server.address, server.adminToken);
    cleanups.push(() => wire.close());
    const writers = Array.from({ length: 6 }, (_, index) => new Writer(`w/${index}`, random.fork()));
    /** Of each secret: what each of its changes made of it, and at which revision. */
    const histories = new Map(
      writers.map(({ name }) => [name, [{ revision: 0n, contents: new Map() as Contents }]]),
    );
    const stop = new AbortController();
    const load = Promise.all(
      writers.map(async (writer) => {
        while (!stop.signal.aborted) {
          const error = await writer.step(wire);
          if (error !== undefined) throw error;
          histories.get(writer.name)?.push({ revision: writer.revision, contents: writer.ledger.known });
        }
      }),
    );
    load.catch(() => {});

    const env = { SLOTS_ADDRESS: server.address, SLOTS_TOKEN: server.adminToken };
    const files: string[] = [];
    for (let index = 0; index < BACKUPS; index += 1) {
      const enough = writers.reduce((sum, { done }) => sum + done, 0) + WRITES_BETWEEN;
      const end = Date.now() + 30_000;
      while (writers.reduce((sum, { done }) => sum + done, 0) < enough && Date.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const file = join(work, `${index}.backup`);
      await slotsJson(["backup", "create", "-o", file], env);
      files.push(file);
    }
    stop.abort();
    await load;
    const resume = (await wire.watch("w/0", { allowMissing: true }).take()).resumeToken;
    const { epoch } = await wire.watch("w/0", { allowMissing: true }).take();

    const epochs = new Set([epoch]);
    for (const file of files) {
      const dataDir = `${file}.restored`;
      mkdirSync(dataDir, { mode: 0o700 });
      copyFileSync(join(server.dataDir, "master.key"), join(dataDir, "master.key"));
      const report = await slotsJson(["backup", "restore", file, "--data-dir", dataDir]);
      const revision = BigInt(report.revision as string);
      expect(integrityOf(dataDir)).toBe("ok");
      const restored = await ServerProcess.start({ dataDir });
      const there = new Wire(restored.address, server.adminToken);
      try {
        for (const [name, history] of histories) {
          const then = history.findLast((each) => each.revision <= revision)?.contents ?? new Map();
          const found = await readContents(there, name);
          if (shown(found) !== shown(then)) {
            const details = `at ${revision} ${name} held\n${shown(then)}\nand is restored as\n${shown(found)}`;
            failWith("backup", replayOf("backup", seed), details);
          }
        }
        const again = there.watch("w/0", { resumeToken: resume });
        const first = await again.take();
        expect(first.event.case).toBe("historyReset");
        expect(["current", "absent"]).toContain((await again.take()).event.case);
        expect(epochs).not.toContain(first.epoch);
        epochs.add(first.epoch);
        await there.put("after/restore", 0n, "written");
      } finally {
        there.close();
        await restored.kill();
      }
      expect(integrityOf(dataDir)).toBe("ok");
    }
    await server.kill();
    expect(integrityOf(server.dataDir)).toBe("ok");
  },
  limitMs(BACKUPS, 60_000),
);
