import { spawnSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Keyring } from "../../src/crypto/keyring.ts";
import { readMasterKeyFile } from "../../src/crypto/master-key-file.ts";
import { StorageOpenError } from "../../src/storage/open-error.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, text, Wire } from "../support/wire.ts";
import { failWith } from "./support/failures.ts";
import { Lane, type LaneExit } from "./support/lane.ts";
import { needs, withTmpfs } from "./support/needs.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { StoredValues } from "./support/stored-values.ts";
import { type Injection, injected, injecting } from "./support/strace.ts";

const FLIPS = countOf("SLOTS_TEST_FLIPS", 2000);
const FAULTS = countOf("SLOTS_TEST_FAULTS", 24);

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "slots-faults-"));
  cleanups.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function disk(size: string): string {
  const mounted = folder();
  if (!withTmpfs(mounted, size)) throw new Error("can't mount a tmpfs");
  cleanups.push(() => void spawnSync("umount", ["--lazy", mounted]));
  return mounted;
}

/** Takes every byte that is free, down to the last. */
function fill(ballast: string): void {
  const file = openSync(ballast, "a");
  try {
    for (let size = 1 << 20; size > 0; ) {
      try {
        writeSync(file, Buffer.alloc(size));
      } catch {
        size >>= 1;
      }
    }
  } finally {
    closeSync(file);
  }
}

test("a full disk refuses writes, serves reads and watches, and all works again once there is room (D4)", async (context) => {
  if (!needs("tmpfs")) {
    context.skip();
    return;
  }
  const room = disk("32m");
  const dataDir = join(room, "data");
  const server = await ServerProcess.start({ dataDir });
  cleanups.push(() => server.dispose());
  const wire = new Wire(server.address, server.adminToken);
  cleanups.push(() => wire.close());
  await wire.put("full/a", 0n, "before");
  await waitFor("the audit log's reserve", () => existsSync(join(dataDir, "audit/reserve-00")));
  const watch = wire.watch("full/a");
  expect(text(((await watch.take()).event.value as { value: Uint8Array }).value)).toBe("before");

  const ballast = join(room, "ballast");
  fill(ballast);
  const big = Buffer.alloc(60_000, "x");
  const refused = await waitFor("a write to be refused", async () => {
    fill(ballast);
    try {
      await wire.put("full/b", 0n, Buffer.concat([big, Buffer.from(`${Date.now()}`)]), { overwrite: true });
      return undefined;
    } catch (error) {
      return error as Awaited<ReturnType<typeof failure>>;
    }
  });
  expect([refused.code, refused.reason]).toEqual(["RESOURCE_EXHAUSTED", "DISK_FULL"]);
  // Refused again and again, and never half there.
  for (let slot = 1n; slot <= 5n; slot += 1n) {
    expect((await failure(wire.put("full/c", slot, big))).reason).toBe("DISK_FULL");
  }
  expect((await failure(wire.get("full/c"))).reason).toBe("SECRET_NOT_FOUND");
  for (let reads = 0; reads < 20; reads += 1) expect(text((await wire.get("full/a")).value)).toBe("before");
  // A watch that began before goes on, and one begins now.
  expect((await watch.take()).event.case).toBe("progress");
  const late = wire.watch("full/a");
  expect((await late.take()).event.case).toBe("current");

  unlinkSync(ballast);
  await waitFor("a write to succeed again", () =>
    wire.put("full/a", 1n, "after").then(
      () => true,
      () => false,
    ),
  );
  for (const stream of [watch, late]) {
    await waitFor("a watcher to be told", async () => {
      const { event } = await stream.take();
      return event.case === "current" && text(event.value.value) === "after";
    });
  }
  await wire.put("full/c", 0n, big);
  expect(server.child.exitCode).toBeNull();
});

/** Answered in each round; four writers fill at least a quarter as many groups, each with its flush. */
const WRITES = 80;
/** A flush that comes after the start and before the end of those. */
const IN_LOAD = 12;

/** What may be made to fail: a call of the system, and with what. */
const CALLS = [
  { call: "fsync", error: "EIO", nth: 40 },
  { call: "fdatasync", error: "EIO", nth: 3 },
  { call: "pwrite64", error: "EIO", nth: 150 },
  { call: "pwrite64", error: "ENOSPC", nth: 150 },
  { call: "ftruncate", error: "EIO", nth: 3 },
  { call: "ftruncate", error: "ENOSPC", nth: 3 },
] as const;

test(
  `${FAULTS} writes and flushes that fail are told, or end the server, and lose nothing (D2, D5)`,
  async (context) => {
    if (!needs("strace")) {
      context.skip();
      return;
    }
    const seed = seedOf("failing calls");
    const random = new Random(seed);
    const lane = new Lane({ random: random.fork(), writers: 4 });
    cleanups.push(() => lane.dispose());
    await lane.begin();
    await lane.killAll();
    const log = join(folder(), "injected");
    const counts: Record<string, number> = {};
    for (let round = 0; round < FAULTS; round += 1) {
      // Every kind in turn, from the first call on.
      const { call, error, nth: most } = CALLS[round % CALLS.length]!;
      const nth = round < CALLS.length ? 1 : round === CALLS.length ? IN_LOAD : 1 + random.below(most);
      const fault: Injection = { call, nth, fault: { error } };
      rmSync(log, { force: true });
      try {
        const exit = await lane.underFault({
          under: injecting(fault, log),
          writes: WRITES,
          mustEnd: () => failedFlushes(log).length > 0,
        });
        const outcome = judge(injected(log), failedFlushes(log), exit);
        counts[`${call} ${error}: ${outcome}`] = (counts[`${call} ${error}: ${outcome}`] ?? 0) + 1;
        await lane.begin();
        await lane.killAll();
        expect(await lane.atRest()).toEqual([]);
      } catch (cause) {
        const details = `${call} ${error}, number ${nth} of a thread\n${String(cause)}`;
        failWith("disk-fault", `SLOTS_TEST_SEED=${seed} npm run guarantees -- disk-faults`, details);
      }
    }
    console.log(counts);
    if (FAULTS > CALLS.length) expect(counts["fsync EIO: ended"]).toBeGreaterThan(0);
  },
  Math.max(900_000, FAULTS * 30_000),
);

/** Zeros that are kept for a full disk hold nothing yet; every other flush was of something. */
function failedFlushes(log: string): readonly string[] {
  return injected(log).filter((line) => /\bf(data)?sync\(/.test(line) && !/reserve-\d\d/.test(line));
}

/** A flush of the store or of the audit log that failed must have ended the server: 70, or no start at all. */
function judge(hit: readonly string[], flushes: readonly string[], exit: LaneExit | undefined): string {
  if (hit.length === 0) return "not reached";
  if (exit === undefined) {
    if (flushes.length > 0) throw new Error(`a flush failed and the server went on:\n${flushes.join("\n")}`);
    return "went on";
  }
  if (exit.started && exit.code !== 70)
    throw new Error(`it ended with ${exit.code ?? exit.signal}:\n${hit.join("\n")}`);
  if (!exit.started && exit.code !== 1 && exit.code !== 70)
    throw new Error(`a start ended with ${exit.code}`);
  return exit.started ? "ended" : "did not start";
}

test(`${FLIPS} flipped bits are refused, recovered or told, and never read as another value (D3)`, async () => {
  const seed = seedOf("flipped bits");
  const random = new Random(seed);
  const dataDir = folder();
  const work = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slots-flips-"));
  cleanups.push(() => rmSync(work, { recursive: true, force: true }));
  const names = ["flip/a", "flip/b", "flip/c"];
  const numbers = [0n, 3n, 5n, 9n];
  /** What a reader was ever right to read, by secret and number. */
  const truths = new Map<string, Set<string>>();
  const keyring = () => new Keyring(readMasterKeyFile(join(dataDir, "master.key")));
  const look = (at: string): Map<string, string> => {
    const store = StoredValues.open(at, keyring());
    if (store === undefined) throw new Error("there is no store");
    try {
      return new Map(
        names.flatMap((name) =>
          numbers.map((number) => [`${name} ${number}`, store.effectiveAt(name, number)]),
        ),
      );
    } finally {
      store.close();
    }
  };
  const copy = (): string => {
    const to = join(work, "copy");
    rmSync(to, { recursive: true, force: true });
    mkdirSync(to);
    for (const file of ["store.db", "store.db-wal"]) {
      if (existsSync(join(dataDir, file))) cpSync(join(dataDir, file), join(to, file));
    }
    return to;
  };

  // Half of the writes go into the database, the other half stay in the WAL of a server that is killed.
  const server = await ServerProcess.start({ dataDir });
  await fillSecrets(server, names, 0);
  expect((await server.stop()).code).toBe(0);
  const settled = look(copy());
  const second = await ServerProcess.start({ dataDir });
  const states = [settled];
  const after = () => states.push(look(copy()));
  await fillSecrets(second, names, 1, after);
  // What was overwritten is erased from the WAL soon after; only then does what is put stay there.
  await waitFor("an empty WAL", () => statSync(join(dataDir, "store.db-wal")).size === 0);
  const wire = new Wire(second.address, second.adminToken);
  for (const name of names) {
    for (const slot of [1n, 4n, 5n]) {
      await wire.put(name, slot, `${name} ${slot} put once`);
      after();
    }
  }
  wire.close();
  await second.kill();
  for (const state of states) {
    for (const [place, value] of state) truths.set(place, (truths.get(place) ?? new Set()).add(value));
  }
  const now = look(copy());

  const counts = { refused: 0, harmless: 0, told: 0, recovered: 0 };
  const whole = ["store.db", "store.db-wal"].map((file) => readFileSync(join(dataDir, file)));
  for (let flip = 0; flip < FLIPS; flip += 1) {
    const which = flip % 2;
    const bytes = Buffer.from(whole[which]!);
    const bit = random.below(bytes.length * 8);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    const at = copy();
    // Damage to the database alone is met with the WAL empty: its pages would be taken from there.
    const file = which === 0 ? "store.db" : "store.db-wal";
    if (which === 0 && flip % 4 === 0) rmSync(join(at, "store.db-wal"));
    writeFileSync(join(at, file), bytes);
    try {
      const found = look(at);
      for (const [place, value] of found) {
        if (value !== "damaged" && !truths.get(place)?.has(value)) {
          failWith(
            "flip",
            `SLOTS_TEST_SEED=${seed} npm run guarantees -- disk-faults`,
            `bit ${bit} of ${file}: ${place} reads ${value}`,
          );
        }
      }
      const values = [...found.values()];
      if (values.includes("damaged")) counts.told += 1;
      else if (JSON.stringify(values) === JSON.stringify([...now.values()])) counts.harmless += 1;
      else counts.recovered += 1;
    } catch (error) {
      if (!(error instanceof StorageOpenError) && !(error as Error).message.startsWith("the check of"))
        throw error;
      counts.refused += 1;
    }
  }
  console.log(`${FLIPS} flips in ${whole.map((bytes) => bytes.length).join(" + ")} bytes:`, counts);
  expect(counts.refused).toBeGreaterThan(0);
  expect(counts.recovered).toBeGreaterThan(0);
}, 1_800_000);

async function fillSecrets(
  server: ServerProcess,
  names: readonly string[],
  round: number,
  each: () => void = () => {},
): Promise<void> {
  const wire = new Wire(server.address, server.adminToken);
  for (const slot of [0n, 3n, 9n]) {
    for (const [index, name] of names.entries()) {
      const length = index === 1 && slot === 3n ? 6000 : 40;
      await wire.put(name, slot, `${name} ${slot} ${round} `.padEnd(length, "."), { overwrite: true });
      each();
    }
  }
  wire.close();
}

test("a directory that may not be written to is said so, and nothing starts", async (context) => {
  if (!needs("tmpfs")) {
    context.skip();
    return;
  }
  const dataDir = disk("32m");
  const server = await ServerProcess.start({ dataDir });
  await server.stop();
  expect(spawnSync("mount", ["-o", "remount,ro", dataDir]).status).toBe(0);
  const { code, output } = await ServerProcess.startFailing({ dataDir });
  expect(code).toBe(1);
  expect(output).toContain(dataDir);
  expect(output.trim().split("\n")).toHaveLength(1);
});

for (const file of ["store.db", "store.db-wal"]) {
  test(`${file} removed under the server: it ends and says so, and answers no write that would be lost`, async () => {
    const server = await ServerProcess.start({ dataDir: folder() });
    cleanups.push(() => server.dispose());
    const wire = new Wire(server.address, server.adminToken);
    cleanups.push(() => wire.close());
    await wire.put("removed/a", 0n, "before");
    unlinkSync(join(server.dataDir, file));
    const error = await failure(wire.put("removed/a", 1n, "lost"));
    expect(error.code).toBe("UNAVAILABLE");
    expect((await server.exited).code).toBe(70);
    expect(server.output).toContain(`in doubt: ${join(server.dataDir, file)} was removed or replaced`);
  });
}
