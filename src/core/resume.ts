import type { Head } from "../storage/records.ts";
import type { Core } from "./core.ts";
import type { ResumePoint } from "./resume-token.ts";

/**
 * Whether the store still knows the history that a token was made in: the same epoch, not of the future, not
 * older than the kept log, and with the very commit that the token names, so that a copy of the store that went
 * its own way is told apart (W8).
 */
export function canResume(core: Core, head: Head, point: ResumePoint): boolean {
  if (point.epoch !== head.epoch) return false;
  if (point.told === "nothing") return true;
  if (point.told > head.revision) return false;
  const commitId = core.opened.keptCommitIdAt(point.told);
  if (commitId === undefined) return point.told === 0n && head.revision === 0n;
  return Buffer.from(commitId).equals(point.commitId);
}
