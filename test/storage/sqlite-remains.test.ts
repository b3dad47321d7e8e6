import { linkSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removeRemains, restoreRemains } from "../../src/storage/sqlite/remains.ts";
import { tempDir } from "./temp-dir.ts";

const NOW = 1_800_000_000_000;
const HEX = "0123456789abcdef";

test("what killed processes left is removed, and what somebody works on or owns is not", () => {
  const folder = tempDir();
  const put = (name: string, ageMs: number) => {
    writeFileSync(join(folder, name), "");
    utimesSync(join(folder, name), (NOW - ageMs) / 1000, (NOW - ageMs) / 1000);
  };
  const kept = [
    "admin.token",
    "backup-by-hand.tmp",
    "master.key",
    "store.db",
    "store.db-wal",
    "store.db.old",
  ];
  for (const name of kept) put(name, 1e9);
  put(`backup-${HEX}.tmp`, 1000);
  put(`store.db.new-${HEX.slice(4)}`, 1000);
  put(`backup-${HEX.replace("0", "1")}.tmp`, 700_000);
  for (const name of ["store.db", "master.key", "admin.token"])
    put(`${name}.new-${HEX.slice(0, 12)}`, 700_000);
  put(`store.db.new-${HEX.slice(0, 12)}-wal`, 700_000);
  put(`store.db.restore-${HEX.slice(0, 12)}`, 1000);
  mkdirSync(join(folder, ".restore-abc/trial"), { recursive: true });
  // Killed between the two names of a new store.
  linkSync(join(folder, "store.db"), join(folder, `store.db.new-${HEX.slice(2, 14)}`));

  expect(restoreRemains(folder)).toHaveLength(2);
  removeRemains(folder, NOW);
  expect(readdirSync(folder).sort()).toEqual(
    [...kept, `backup-${HEX}.tmp`, `store.db.new-${HEX.slice(4)}`].sort(),
  );
});
