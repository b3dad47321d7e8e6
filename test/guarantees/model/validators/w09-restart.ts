import type { Validator, Violation } from "../history.ts";
import { origin, streamsOf } from "../streams.ts";
import { isMutation } from "../timeline.ts";

/**
 * W9: the other promises hold across restarts and from one server process to another. Their validators know nothing of
 * processes, so they check that by themselves; what is left is that a token outlives them: no restart, and no other
 * process, makes a genuine token of the same epoch unknown, and none makes revisions fall.
 */
export const w09: Validator = (history) => {
  const violations: Violation[] = [];
  const restarts = history.flatMap((entry) =>
    entry.type === "fault" && entry.kind !== "cut" ? [entry] : [],
  );
  for (const { watch, events } of streamsOf(history)) {
    if (watch.resume?.kind !== "right" && watch.resume?.kind !== "old") continue;
    const from = origin(history, watch);
    const [first] = events;
    if (from === undefined || first === undefined || from.event.epoch !== first.epoch) continue;
    const between = restarts.filter(({ at }) => at > from.event.at && at < first.at);
    const text = `stream ${watch.stream}, resumed after ${between.map(({ kind }) => kind).join(", ") || "a change of server"}: `;
    if (first.kind === "history_reset")
      violations.push({ promise: "W9", at: first.at, text: `${text}history_reset` });
    else if ((first.kind === "progress" || first.kind === "synced") && first.revision < from.event.revision) {
      violations.push({ promise: "W9", at: first.at, text: `${text}the store fell to ${first.revision}` });
    }
  }
  // Who ends the epoch says so: events and answers of one epoch are all before those of the next.
  const epochs: string[] = [];
  for (const entry of history) {
    // A repeated request answers as the first time, so a change may be answered with an epoch that is over.
    const fresh = entry.type === "event" || (entry.type === "call" && !isMutation(entry.op));
    const epoch = fresh ? entry.epoch : undefined;
    if (epoch === undefined || epoch === "" || epoch === epochs.at(-1)) continue;
    if (epochs.includes(epoch)) {
      const at = entry.type === "event" ? entry.at : entry.type === "call" ? entry.end : 0;
      violations.push({ promise: "W9", at, text: `epoch ${epoch} came back` });
    }
    epochs.push(epoch);
  }
  if (epochs.length - 1 > restarts.filter(({ kind }) => kind === "epoch").length && epochs.length > 1) {
    violations.push({ promise: "W9", at: 0, text: `${epochs.length} epochs, though nobody began so many` });
  }
  return violations;
};
