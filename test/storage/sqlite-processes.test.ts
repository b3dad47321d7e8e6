import { expect, test, vi } from "vitest";
import { openSqliteStorage } from "../../src/storage/sqlite/open.ts";
import { committed, name, put, slot } from "../contracts/storage-commits.ts";
import { StoreProcess } from "./store-process.ts";
import { tempDir } from "./temp-dir.ts";

const BOUND = { timeout: 20_000 };
/** Longer than any wait for the other process on a busy machine. */
const busyTimeoutMs = 20_000;

test("two processes on one file see each other's commits, and are woken for them (W10)", async () => {
  const dataDir = tempDir();
  const [here, there] = [
    await openSqliteStorage({ dataDir, busyTimeoutMs }),
    await StoreProcess.start(dataDir),
  ];
  const latencies: number[] = [];
  let rungAt = 0;
  here.onCommit(() => {
    rungAt = performance.timeOrigin + performance.now();
  });
  for (let number = 0n; number < 40n; number += 2n) {
    rungAt = 0;
    const answeredAt = await there.put("a", number);
    // Answered there means readable here, bell or not.
    expect(here.readCurrent(name("a")).slot?.slot).toBe(number);
    await vi.waitFor(() => expect(rungAt).toBeGreaterThan(0), { ...BOUND, interval: 5 });
    latencies.push(rungAt - answeredAt);
    await committed(here, put("a", number + 1n));
    expect(await there.current("a")).toBe(number + 1n);
  }
  latencies.sort((a, b) => a - b);
  const [middle, worst] = [latencies[Math.floor(latencies.length / 2)]!, latencies.at(-1)!];
  console.log(`bell from another process: median ${middle.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`);
  expect(worst).toBeLessThan(5000);
  await there.close();
  await here.close();
}, 60_000);

test("two writing processes make one history without gaps", async () => {
  const dataDir = tempDir();
  const [here, there] = [
    await openSqliteStorage({ dataDir, busyTimeoutMs }),
    await StoreProcess.start(dataDir),
  ];
  let other = 0;
  there.putForever("there", () => {
    other += 1;
  });
  for (let number = 0; number < 100; number += 1) await committed(here, put("here", number));
  await vi.waitFor(() => expect(other).toBeGreaterThan(20), BOUND);
  await there.kill();
  const { changes, head } = here.changesAfter(0n as never, 1_000_000);
  expect(changes.map((change) => change.revision)).toEqual(changes.map((_, index) => BigInt(index + 1)));
  expect(head.revision).toBe(BigInt(changes.length));
  await here.close();
}, 60_000);

test("nothing that was answered is lost when the process is killed (D1, D2)", async () => {
  const dataDir = tempDir();
  let answered = -1n;
  for (let round = 0; round < 5; round += 1) {
    const writer = await StoreProcess.start(dataDir);
    const before = answered;
    writer.putForever("a", (number) => {
      answered = number;
    });
    await vi.waitFor(() => expect(answered).toBeGreaterThan(before + 20n), { ...BOUND, interval: 1 });
    await writer.kill();
    const storage = await openSqliteStorage({ dataDir });
    const { secret, slot: row, head } = storage.readCurrent(name("a"));
    expect(secret!.lastSlot).toBeGreaterThanOrEqual(answered);
    expect(row?.slot).toBe(secret!.lastSlot);
    expect(BigInt(secret!.slotCount)).toBe(secret!.lastSlot + 1n);
    expect(head.revision).toBe(secret!.lastSlot + 1n);
    expect(storage.readSlot(name("a"), slot(answered)).slot?.state).toBe("enabled");
    answered = secret!.lastSlot;
    await storage.close();
  }
}, 120_000);
