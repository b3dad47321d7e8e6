import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { AdminService } from "../../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { createMasterKeyFile } from "../../../src/crypto/master-key-file.ts";
import { ServerProcess } from "../../support/server-process.ts";
import { Wire } from "../../support/wire.ts";
import { failWith } from "../support/failures.ts";
import { integrityOf } from "../support/integrity.ts";
import { Lane, type LaneOptions } from "../support/lane.ts";
import { shown } from "../support/ledger.ts";
import { countOf, Random, seedOf } from "../support/random.ts";
import { runSlots, slotsJson } from "../support/slots-command.ts";
import { limitMs } from "../support/time-limit.ts";
import { readContents } from "../support/writer.ts";
import { type During, MOMENTS, type Moment, REACHED } from "./moments.ts";

/** Kills at each moment. */
const ROUNDS = countOf("SLOTS_TEST_MOMENTS", 1);
const WRITES = 60;
/** Slots beside those of the writers, so that a rotation takes several batches. */
const STILL = 600;
const LIMIT_MS = limitMs(ROUNDS, 300_000);
const PRELOAD = { NODE_OPTIONS: `--import=${new URL("./register.ts", import.meta.url).href}` };
const UNRECORDED = "after the commit, before its audit record";
const { rotateMasterKey, createBackup } = AdminService.method;

const seed = seedOf("kills at moments");
const random = new Random(seed);
const work = mkdtempSync(join(tmpdir(), "slots-moments-"));
const lanes: Lane[] = [];
const reached = new Map<string, number>();

afterEach(async () => {
  await Promise.all(lanes.splice(0).map((lane) => lane.dispose()));
});

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
  const kills = [...reached.values()].reduce((sum, each) => sum + each, 0);
  console.log(`${kills} kills, each at its moment:`, Object.fromEntries(reached));
});

function newLane(options: Omit<LaneOptions, "random"> = {}): Lane {
  const lane = new Lane({ random: random.fork(), writers: 4, ...options });
  lanes.push(lane);
  return lane;
}

/** What makes a program die at a moment. */
function dieAt(moment: Moment, nth: number): Readonly<Record<string, string>> {
  return { ...PRELOAD, SLOTS_TEST_MOMENT: moment.name, SLOTS_TEST_MOMENT_NTH: String(nth) };
}

/** Each moment that comes during this, each so many times as there are rounds. */
async function atEach(during: During, kill: (moment: Moment, nth: number) => Promise<void>): Promise<void> {
  for (const moment of MOMENTS.filter((each) => each.during === during)) {
    for (let round = 0; round < ROUNDS; round += 1) {
      const nth = 1 + random.below(moment.times);
      try {
        await kill(moment, nth);
        reached.set(moment.name, (reached.get(moment.name) ?? 0) + 1);
      } catch (error) {
        const replay = `SLOTS_TEST_SEED=${seed} SLOTS_TEST_MOMENTS=${ROUNDS} npm run guarantees -- moments.test`;
        failWith("moment", replay, `killed at '${moment.name}', the time ${nth}\n${String(error)}`);
      }
    }
  }
}

/** Loads a server until it dies at the moment, and looks at what is left. */
async function killServer(
  lane: Lane,
  moment: Moment,
  nth: number,
  beside?: (wire: Wire) => Promise<unknown>,
) {
  const env = { ...lane.env, ...dieAt(moment, nth) };
  const exit = await lane.underFault({
    env,
    writes: WRITES,
    mustEnd: () => true,
    ...(beside === undefined ? {} : { beside }),
  });
  if (exit?.signal !== "SIGKILL") throw new Error(`it did not come to it: ${JSON.stringify(exit)}`);
}

async function restsWell(lane: Lane): Promise<void> {
  const problems = await lane.atRest();
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

/** The next start: everything that was answered is there, watchers come to hold it, and the log tells all of it. */
async function goesOn(lane: Lane): Promise<void> {
  await lane.begin();
  await lane.killAll();
  await restsWell(lane);
}

test(
  "killed in a change, an audit write, a watch or a checkpoint (D1, D2, S4, W9)",
  async () => {
    const lane = newLane({ serverArgs: ["--audit-segment-bytes", "4096"] });
    await atEach("load", async (moment, nth) => {
      await killServer(lane, moment, nth);
      await restsWell(lane);
      await goesOn(lane);
    });
  },
  LIMIT_MS,
);

test(
  "killed in a start that recovers (D1, S4)",
  async () => {
    const lane = newLane();
    const unrecorded = MOMENTS.find(({ name }) => name === UNRECORDED) as Moment;
    await atEach("start", async (moment, nth) => {
      await killServer(lane, unrecorded, 1);
      await killServer(lane, moment, nth);
      await restsWell(lane);
      await goesOn(lane);
    });
  },
  LIMIT_MS,
);

test(
  "killed in the first start (D1, D2)",
  async () => {
    await atEach("first start", async (moment, nth) => {
      const lane = newLane();
      await killServer(lane, moment, nth);
      if (existsSync(join(lane.dataDir, "store.db"))) expect(integrityOf(lane.dataDir)).toBe("ok");
      await lane.begin();
      await lane.round(5);
      await restsWell(lane);
      await lane.dispose();
    });
  },
  LIMIT_MS,
);

test(
  "killed in a migration (D1, D2)",
  async () => {
    await atEach("migration", async (moment, nth) => {
      const lane = newLane();
      await lane.begin();
      await lane.round(WRITES);
      lane.env = { ...PRELOAD, SLOTS_TEST_MIGRATION: "1" };
      await killServer(lane, moment, nth);
      expect(integrityOf(lane.dataDir)).toBe("ok");
      await lane.begin();
      await lane.round(5);
      await lane.begin();
      await lane.killAll();
      expect(integrityOf(lane.dataDir)).toBe("ok");
      await lane.dispose();
    });
  },
  LIMIT_MS,
);

test(
  "killed in a rotation of the master key (D1, W9)",
  async () => {
    const keyFile = join(work, "keys");
    const keys = Array.from({ length: 6 }, (_, index) => {
      const file = join(work, `key-${index}`);
      const { id } = createMasterKeyFile(file);
      return { id, text: readFileSync(file, "utf8") };
    });
    writeFileSync(keyFile, keys.map(({ text }) => text).join("\n"), { mode: 0o600 });
    const lane = newLane({ masterKeyFile: keyFile });
    await lane.begin();
    await Promise.all(
      Array.from({ length: STILL }, (_, slot) =>
        lane.wire.put(`still/${slot % 3}`, BigInt(slot), `still ${slot}`),
      ),
    );
    await lane.killAll();
    let rotations = 0;
    await atEach("rewrap", async (moment, nth) => {
      rotations += 1;
      const { id } = keys[rotations % keys.length]!;
      await killServer(lane, moment, nth, (wire) => drain(wire.stream(rotateMasterKey, { keyId: id })));
      await restsWell(lane);
      await lane.begin();
      await drain(lane.wire.stream(rotateMasterKey, { keyId: id }));
      for (const slot of [0, 1, 2, STILL - 1]) {
        const { value } = await lane.wire.at(`still/${slot % 3}`, BigInt(slot));
        expect(Buffer.from(value).toString()).toBe(`still ${slot}`);
      }
      await lane.killAll();
      await restsWell(lane);
    });
  },
  LIMIT_MS,
);

test(
  "killed in a backup, the server or the command (D6)",
  async () => {
    const lane = newLane();
    await lane.begin();
    await lane.round(WRITES);
    await goesOn(lane);
    await atEach("backup", async (moment, nth) => {
      await killServer(lane, moment, nth, (wire) => drain(wire.stream(createBackup, {})));
      await restsWell(lane);
      await goesOn(lane);
    });

    await lane.begin();
    const key = ["--master-key-file", join(lane.dataDir, "master.key")];
    await atEach("backup create", async (moment, nth) => {
      const folder = mkdtempSync(join(work, "create-"));
      const file = join(folder, "store.backup");
      await dies(["backup", "create", "-o", file], { ...lane.clientEnv, ...dieAt(moment, nth) });
      // The whole file or none; then it is made again over what is left.
      if (existsSync(file)) await slotsJson(["backup", "verify", file, ...key]);
      await slotsJson(["backup", "create", "-o", file, "--force"], lane.clientEnv);
      await slotsJson(["backup", "verify", file, ...key]);
    });
  },
  LIMIT_MS,
);

test(
  "killed in a restore: nothing is served until it is run again, and then all of it (D6)",
  async () => {
    const lane = newLane();
    await lane.begin();
    await lane.round(WRITES);
    await lane.begin();
    const file = join(work, "restore.backup");
    const { epoch } = await slotsJson(["backup", "create", "-o", file], lane.clientEnv);
    const { SLOTS_TOKEN: token = "" } = lane.clientEnv;
    let count = 0;
    await atEach("backup restore", async (moment, nth) => {
      count += 1;
      const dataDir = join(work, `restored-${count}`);
      mkdirSync(dataDir, { mode: 0o700 });
      copyFileSync(join(lane.dataDir, "master.key"), join(dataDir, "master.key"));
      const restore = ["backup", "restore", file, "--data-dir", dataDir];
      await dies(restore, dieAt(moment, nth));
      if (!existsSync(join(dataDir, "store.db"))) {
        const { code, output } = await ServerProcess.startFailing({ dataDir });
        expect([code, output]).toEqual([1, expect.stringContaining("slots backup restore")]);
        await slotsJson(restore);
      }
      expect(integrityOf(dataDir)).toBe("ok");
      const server = await ServerProcess.start({ dataDir });
      const wire = new Wire(server.address, token);
      try {
        for (const { name, ledger } of lane.writers) {
          expect(`${name} ${shown(await readContents(wire, name))}`).toBe(`${name} ${shown(ledger.known)}`);
        }
        const message = await wire.watch("w/0", { allowMissing: true }).take();
        expect(message.epoch).not.toBe(epoch);
      } finally {
        wire.close();
        await server.kill();
      }
      expect(readdirSync(dataDir).filter((name) => /restore/.test(name))).toEqual([]);
      rmSync(dataDir, { recursive: true });
    });
  },
  LIMIT_MS,
);

/** Runs a command that must be killed at its moment. */
async function dies(args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const { code, signal, errors } = await runSlots(args, env);
  if (signal !== "SIGKILL" || !errors.includes(REACHED)) {
    throw new Error(`it did not come to it, and ended with ${code ?? signal}: ${errors}`);
  }
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
