import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether a tool is here. Where CI=true, one that is missing fails; elsewhere what needs it is skipped, loudly. */
export function needs(tool: "strace" | "sqlite3" | "tmpfs"): boolean {
  const here = tool === "tmpfs" ? canMount() : spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0;
  if (here && (tool !== "strace" || canTrace())) return true;
  const problem = `${tool} is not installed, or may not be used here`;
  if (process.env.CI === "true") throw new Error(problem);
  console.warn(`!!!!!! SKIPPED: ${problem}`);
  return false;
}

function canTrace(): boolean {
  return spawnSync("strace", ["-qq", "-o", "/dev/null", "true"]).status === 0;
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
