import type { Entry } from "./history.ts";
import { indexAt, timelines } from "./timeline.ts";

/**
 * With the changes up to a floor the deletions among them are forgotten. A secret that was deleted by then is told as
 * absent as of 0, or after a reset as of the floor, for nothing newer can be said of it; the same goes for one that never
 * was. Here these events are given the revision that they had when it was still known, so that the validators find
 * the state that they show.
 */
export function asRemembered(history: readonly Entry[]): readonly Entry[] {
  if (!history.some(({ type }) => type === "forgotten")) return history;
  const { byName } = timelines(history);
  let floor = 0n;
  return history.map((entry) => {
    if (entry.type === "forgotten") floor = entry.floor;
    if (entry.type !== "event" || entry.kind !== "absent" || floor === 0n) return entry;
    if (entry.revision !== 0n && entry.revision !== floor) return entry;
    const line = byName.get(entry.name ?? "") ?? [];
    const shown = line[indexAt(line, floor)]?.secret.shown;
    if (shown?.kind !== "absent" || shown.reason !== "NOT_EXISTING" || entry.reason !== shown.reason)
      return entry;
    return { ...entry, revision: shown.revision };
  });
}
