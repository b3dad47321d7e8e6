import { expect, test } from "vitest";
import { MemoryAuditLog } from "../../src/audit/memory-audit-log.ts";
import { RefusalCounter } from "../../src/audit/refusal-counter.ts";
import { until } from "./file-log.ts";
import { found } from "./records.ts";

const fields = async (log: MemoryAuditLog) => (await found(log)).map(({ fields }) => fields);
const sum = (records: readonly Readonly<Record<string, unknown>>[]) =>
  records.reduce((total, { count }) => total + Number(count), 0);

test("one record for each address and interval, with its count", async () => {
  const log = new MemoryAuditLog();
  const counter = new RefusalCounter(log, { intervalMs: 10 });
  for (let index = 0; index < 5; index++) counter.refused("10.0.0.1", "UNAUTHENTICATED");
  counter.refused("10.0.0.2", "UNAUTHENTICATED");
  counter.refused("10.0.0.2", "RESOURCE_EXHAUSTED");
  await until(() => log.lines.length === 3);
  expect(await fields(log)).toMatchObject([
    { kind: "refusals", address: "10.0.0.1", count: 5, code: "UNAUTHENTICATED" },
    { address: "10.0.0.2", count: 1, code: "UNAUTHENTICATED" },
    { address: "10.0.0.2", count: 1, code: "RESOURCE_EXHAUSTED" },
  ]);
});

test("a million strangers in a second get a bounded number of records, and none is uncounted", async () => {
  const log = new MemoryAuditLog();
  const counter = new RefusalCounter(log, { addressesPerSecond: 16 });
  for (let index = 0; index < 1_000_000; index++) counter.refused(`10.${index % 50_000}`, "UNAUTHENTICATED");
  await counter.flush();
  const records = await fields(log);
  expect(records).toHaveLength(17);
  expect(records.at(-1)).not.toHaveProperty("address");
  expect(sum(records)).toBe(1_000_000);
});

test("in the long run strangers get one record a second", async () => {
  let now = 0;
  const log = new MemoryAuditLog();
  const counter = new RefusalCounter(log, { burst: 50, sustainedPerSecond: 1, clock: () => now });
  for (let second = 0; second < 200; second++) {
    for (let index = 0; index < 40; index++) counter.refused(`10.${second}.${index}`, "UNAUTHENTICATED");
    now += 1000;
    await counter.flush();
  }
  const records = await fields(log);
  expect(records.length).toBeLessThanOrEqual(250);
  expect(sum(records)).toBe(200 * 40);
});

test("counts outlive a log that can't be written", async () => {
  const log = new MemoryAuditLog();
  const counter = new RefusalCounter(log, { intervalMs: 10 });
  log.failure = new Error("full");
  for (let index = 0; index < 100; index++) counter.refused(`10.0.0.${index}`, "UNAUTHENTICATED");
  await counter.flush();
  await counter.flush();
  log.failure = undefined;
  await until(() => log.lines.length > 0);
  expect(sum(await fields(log))).toBe(100);
});
