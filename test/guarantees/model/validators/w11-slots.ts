import type { Validator, Violation } from "../history.ts";
import { isState, streamsOf } from "../streams.ts";
import { timelines } from "../timeline.ts";

/**
 * W11: a put below the current slot, or a change of a slot that is not current, moves the revision and sends nothing;
 * when the current slot is taken away the next one is sent, so the slot falls while the revision rises.
 */
export const w11: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  for (const { watch, events } of streamsOf(history)) {
    if (watch.rpc !== "secret") continue;
    const line = byName.get(watch.names[0] ?? "") ?? [];
    for (const event of events.filter(isState)) {
      const bad = (text: string) =>
        violations.push({ promise: "W11", at: event.at, text: `stream ${watch.stream}: ${text}` });
      const change = line.find(({ revision }) => revision === event.revision);
      if (change === undefined) continue;
      const { shown } = change.secret;
      if (shown.revision !== event.revision) {
        bad(
          `${event.kind} at ${event.revision}, a change that leaves what is shown as it was at ${shown.revision}`,
        );
      } else if (shown.kind === "current" && event.kind === "current" && shown.slot !== event.slot) {
        bad(`slot ${event.slot} at ${event.revision}, and the current one was ${shown.slot}`);
      }
    }
  }
  return violations;
};
