import type { Validator, Violation } from "../history.ts";
import { isState, streamsOf } from "../streams.ts";
import { indexAt, seenBy, timelines } from "../timeline.ts";

/**
 * W10: once anyone has seen a revision, of whatever secret and on whatever server process, every Get or Watch begun
 * later reflects at least that.
 */
export const w10: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  const seen = seenBy(history);
  for (const entry of history) {
    if (entry.type !== "call" || entry.op.op !== "get" || entry.answer.code !== "OK") continue;
    const line = byName.get(entry.name) ?? [];
    const least = line[indexAt(line, seen(entry.start))]?.revision ?? 0n;
    const { revision } = entry.answer as unknown as { revision: bigint };
    if (revision < least) {
      const text = `get of ${entry.name} answered the state of ${revision}, and that of ${least} had been seen`;
      violations.push({ promise: "W10", at: entry.end, text });
    }
  }
  for (const { watch, events } of streamsOf(history)) {
    const line = byName.get(watch.names[0] ?? "") ?? [];
    const known = seen(watch.at);
    // The end of a secret that was known before it was deleted is told first, and is old when it lives again.
    const past = events.findIndex((event) => event.kind === "absent" && watch.resume !== undefined);
    const first = events
      .slice(past + 1)
      .find((event) => event.kind === "progress" || event.kind === "synced" || isState(event));
    if (first === undefined) continue;
    const shownBySecret = watch.rpc === "secret" && isState(first);
    const least = shownBySecret ? (line[indexAt(line, known)]?.secret.shown.revision ?? 0n) : known;
    if (watch.rpc === "slots" && isState(first)) continue;
    if (first.revision < least) {
      const text = `stream ${watch.stream} began at ${first.revision} (${first.kind}), and ${least} had been seen`;
      violations.push({ promise: "W10", at: first.at, text });
    }
  }
  return violations;
};
