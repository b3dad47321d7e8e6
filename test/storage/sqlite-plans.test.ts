import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { migrate } from "../../src/storage/sqlite/create.ts";
import { SQL as READS, slotsSql } from "../../src/storage/sqlite/reader.ts";
import { SQL as WRITES } from "../../src/storage/sqlite/writer-tables.ts";

/** Tables that have a row for each of something that there may be millions of. */
const LARGE = ["secrets", "slots", "changes", "tombstones", "requests", "tokens"];

const db = new Database(":memory:");
migrate(db);

function plan(sql: string): string[] {
  const names = [...sql.matchAll(/@(\w+)/g)].map((match) => [match[1], 1]);
  const count = sql.split("?").length - 1;
  const explain = db.prepare(`EXPLAIN QUERY PLAN ${sql}`);
  const rows = names.length > 0 ? explain.all(Object.fromEntries(names)) : explain.all(Array(count).fill(1));
  return (rows as { detail: string }[]).map(({ detail }) => detail);
}

function scans(details: readonly string[]): string[] {
  return details.filter(
    (detail) => /TEMP B-TREE/.test(detail) || LARGE.some((table) => detail.startsWith(`SCAN ${table}`)),
  );
}

test("no statement goes through a table that grows with the store", () => {
  const statements = [...Object.entries(READS), ...Object.entries(WRITES)];
  const found = statements.flatMap(([name, sql]) => scans(plan(sql)).map((detail) => [name, detail]));
  expect(found).toEqual([
    // A page from the beginning.
    ["tokens", "SCAN tokens USING INDEX tokens_in_order"],
    // The oldest few thousand.
    ["firstKept", "SCAN changes"],
  ]);
  expect(READS.tokens).toMatch(/LIMIT \?$/);
  expect(WRITES.firstKept).toMatch(/ORDER BY revision LIMIT \?\)$/);
});

test("each order of slots comes from an index, live slots from their own", () => {
  const slots = (query: Parameters<typeof slotsSql>[0]) => plan(slotsSql(query));
  const all = { limit: 10, withRecords: false };
  expect(slots(all)).toEqual(["SEARCH slots USING INDEX sqlite_autoindex_slots_1 (secret_id=? AND slot>?)"]);
  expect(slots({ ...all, state: "enabled" })).toEqual([
    "SEARCH slots USING INDEX slots_enabled (secret_id=? AND slot>?)",
  ]);
  expect(slots({ ...all, changedAfter: 0n as never })).toEqual([
    "SEARCH slots USING INDEX slots_changed (secret_id=? AND revision>?)",
  ]);
  expect(plan(READS.effectiveAt)).toEqual([
    "SEARCH slots USING INDEX slots_enabled (secret_id=? AND slot<?)",
  ]);
});
