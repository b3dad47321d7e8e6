import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needs } from "./needs.ts";

let here: boolean | undefined;

/**
 * What SQLite's own program says of a copy of a store that nobody serves: "ok" when nothing is wrong, or where the
 * program is missing, which is told once.
 */
export function integrityOf(dataDir: string): string {
  here ??= needs("sqlite3");
  if (!here) return "ok";
  const copy = mkdtempSync(join(tmpdir(), "slots-copy-"));
  try {
    for (const file of ["store.db", "store.db-wal"]) {
      if (existsSync(join(dataDir, file))) cpSync(join(dataDir, file), join(copy, file));
    }
    const { stdout, stderr } = spawnSync("sqlite3", [
      join(copy, "store.db"),
      "PRAGMA integrity_check; PRAGMA foreign_key_check",
    ]);
    return `${stdout}${stderr}`.trim();
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
