import { asRemembered } from "./forgotten.ts";
import type { Entry, Restore, Restored } from "./history.ts";
import { indexAt, timelines } from "./timeline.ts";

/**
 * A history in parts, for a restore begins another one: revisions count anew from that of the backup, so what the
 * validators compare is all of one era. A later era begins with what the backup held.
 */
export function eras(history: readonly Entry[]): readonly (readonly Entry[])[] {
  const result: Entry[][] = [];
  let era: Entry[] = [];
  let began = -1;
  for (const entry of history) {
    if (entry.type === "restore") {
      result.push(era);
      era = [restored(era, entry), ...era.filter(({ type }) => type === "forgotten")];
      began = entry.at;
    } else if (entry.type === "watch" && entry.resume !== undefined && entry.resume.from < began) {
      const { kind, from } = entry.resume;
      era.push({ ...entry, resume: { kind: kind === "right" || kind === "old" ? "lost" : kind, from } });
    } else {
      era.push(entry);
    }
  }
  result.push(era);
  // How late the machine was is noted at the end of a history, for all of it.
  const late = era.filter((entry) => entry.type === "late");
  for (const earlier of result.slice(0, -1)) earlier.push(...late);
  return result.map(asRemembered);
}

function restored(era: readonly Entry[], { at, revision }: Restore): Restored {
  const lines = new Map(
    [...timelines(era).byName].map(([name, line]) => {
      const kept = line.slice(0, indexAt(line, revision) + 1);
      return [name, kept.map((state) => ({ revision: state.revision, secret: state.secret }))];
    }),
  );
  const epochs = new Set<string>();
  for (const entry of era) {
    if (entry.type === "restored") for (const epoch of entry.epochs) epochs.add(epoch);
    if ("epoch" in entry && entry.epoch !== undefined) epochs.add(entry.epoch);
  }
  return { type: "restored", at, revision, lines, epochs };
}
