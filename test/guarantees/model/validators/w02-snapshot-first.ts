import type { Validator, Violation } from "../history.ts";
import { isState, streamsOf } from "../streams.ts";
import { seenBy, timelines, window } from "../timeline.ts";

/**
 * W2: a fresh watch begins with the state, which reflects every write answered before it. A watch of what is missing
 * is refused when it did not allow that, and only then.
 */
export const w02: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  const seen = seenBy(history);
  for (const { watch, events, end } of streamsOf(history)) {
    if (watch.resume !== undefined) continue;
    const bad = (at: number, text: string) =>
      violations.push({ promise: "W2", at, text: `stream ${watch.stream}: ${text}` });
    const [first] = events;
    const ranges = watch.names.map((name) => {
      const line = byName.get(name) ?? [];
      const { from, to } = window(line, seen(watch.at), (first ?? end)?.at ?? Number.MAX_SAFE_INTEGER);
      return { name, states: line.slice(from, to + 1).map(({ secret }) => secret.shown) };
    });

    if (first === undefined) {
      if (end?.code !== "NOT_FOUND") continue;
      const missing = ranges.some(({ states }) => states.some(({ kind }) => kind === "absent"));
      if (watch.allowMissing || !missing)
        bad(end.at, "NOT_FOUND, though nothing was missing or it was allowed");
      continue;
    }
    if (watch.rpc === "slots") {
      if (first.kind !== "begin") bad(first.at, `began with ${first.kind}`);
      const synced = events.find(({ kind }) => kind === "synced");
      if (synced !== undefined && synced.revision < seen(watch.at)) {
        bad(synced.at, `its first state is of ${synced.revision}, and ${seen(watch.at)} had been seen`);
      }
      continue;
    }
    const oldest = ranges[0]?.states[0];
    if (!isState(first)) bad(first.at, `began with ${first.kind}`);
    else if (oldest !== undefined && first.revision < oldest.revision) {
      bad(
        first.at,
        `began with the state of ${first.revision}, and that of ${oldest.revision} was known before`,
      );
    }
    if (first.kind === "absent" && !watch.allowMissing) bad(first.at, "absent, which was not allowed");
  }
  return violations;
};
