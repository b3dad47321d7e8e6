import type { Validator, Violation } from "../history.ts";
import { indexAt, timelines } from "../timeline.ts";

/**
 * W14: a client's value never goes back to an older revision within an epoch, each change is shown once, and each is a
 * state that the store had. With the server gone it keeps answering.
 */
export const w14: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  const last = new Map<string, bigint>();
  for (const entry of history) {
    if (entry.type === "answers" && !entry.ok) {
      violations.push({
        promise: "W14",
        at: entry.at,
        text: `handle ${entry.handle}: does not answer with the server gone`,
      });
    }
    if (entry.type !== "applied") continue;
    const bad = (text: string) =>
      violations.push({ promise: "W14", at: entry.at, text: `handle ${entry.handle}: ${text}` });
    const key = `${entry.handle} ${entry.epoch}`;
    const before = last.get(key);
    if (before !== undefined && entry.revision <= before) bad(`applied ${entry.revision} after ${before}`);
    last.set(key, entry.revision);
    const line = byName.get(entry.name) ?? [];
    const shown = line[indexAt(line, entry.revision)]?.secret.shown;
    const had = shown?.kind === "current" ? `${shown.slot}=${shown.value}` : undefined;
    const got = entry.slot === undefined ? undefined : `${entry.slot}=${entry.value}`;
    if (had !== got) bad(`applied ${got} at ${entry.revision}, and the store had ${had}`);
  }
  return violations;
};
