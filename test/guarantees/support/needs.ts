import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMakeNetworks } from "./network.ts";

type Tool = "strace" | "sqlite3" | "age" | "litestream" | "tmpfs" | "namespaces";

const WORKS: Readonly<Record<Tool, () => boolean>> = {
  strace: () => runs("strace", "-qq", "-o", "/dev/null", "true"),
  sqlite3: () => runs("sqlite3", "--version"),
  age: () => runs("age", "--version"),
  litestream: () => runs("litestream", "version"),
  tmpfs: canMount,
  namespaces: canMakeNetworks,
};

/**
 * Whether a tool is here. Where CI=true, one that is missing fails; elsewhere what needs it is skipped, loudly. That
 * network namespaces are forbidden is no fault of whoever set the machine up: it is skipped everywhere.
 */
export function needs(tool: Tool): boolean {
  if (WORKS[tool]()) return true;
  const forbidden = tool === "namespaces" && runs("ip", "-Version");
  const problem = forbidden
    ? "network namespaces are forbidden here"
    : `${tool} is not installed, or may not be used here`;
  if (process.env.CI === "true" && !forbidden) throw new Error(problem);
  console.warn(`!!!!!! SKIPPED: ${problem}`);
  return false;
}

function runs(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "slots-mount-"));
  try {
    return withTmpfs(folder, "1m");
  } finally {
    spawnSync("umount", ["--lazy", folder], { stdio: "ignore" });
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Mounts a file system in memory over a folder. */
export function withTmpfs(folder: string, size: string): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]).status === 0;
}
