import type { Validator } from "../history.ts";
import { timelines } from "../timeline.ts";

/**
 * W1: nothing shows revision r before r is on disk. Seen from outside: what was shown before a kill is a commit that
 * the store still has after it.
 */
export const w01: Validator = (history) => {
  const { byName } = timelines(history);
  const kills = history.flatMap((entry) =>
    entry.type === "fault" && entry.kind === "kill" ? [entry.at] : [],
  );
  const lastKill = Math.max(-1, ...kills);
  return history.flatMap((entry) => {
    const shown = revisionShown(entry);
    if (shown === undefined || shown.at > lastKill) return [];
    const line = byName.get(shown.name) ?? [];
    if (line.some(({ revision }) => revision === shown.revision)) return [];
    const text = `${shown.name}: revision ${shown.revision} was shown before a kill, and no commit of that number remained`;
    return [{ promise: "W1", at: shown.at, text }];
  });
};

function revisionShown(entry: Parameters<Validator>[0][number]) {
  if (entry.type === "event" && ["current", "absent", "slot", "removed"].includes(entry.kind)) {
    // A WatchSecret event's name is filled in by the recorder.
    return { at: entry.at, name: entry.name ?? "", revision: entry.revision };
  }
  if (entry.type === "call" && entry.op.op === "get" && entry.answer.code === "OK") {
    const { revision } = entry.answer as { code: "OK"; revision?: unknown };
    return { at: entry.end, name: entry.name, revision: revision as bigint };
  }
  return undefined;
}
