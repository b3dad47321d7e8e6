import type { Event, Validator, Violation } from "../history.ts";
import { isState, knownAfter, streamsOf } from "../streams.ts";
import { timelines } from "../timeline.ts";

/**
 * A deleted secret that is created again is a new one: whoever was shown the old one is shown `absent` before the new.
 */
export const reborn: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  for (const stream of streamsOf(history)) {
    if (stream.watch.rpc !== "secret") continue;
    const line = byName.get(stream.watch.names[0] ?? "") ?? [];
    let before: Event | undefined;
    for (const event of stream.events) {
      const known = knownAfter(history, stream, before);
      const last = before;
      before = event;
      if (!isState(event) || known === undefined || known === 0n || last?.kind === "history_reset") continue;
      const wasThere = line.find(({ revision }) => revision === known)?.secret.exists ?? false;
      const ended = line.some(
        ({ revision, secret }) => revision > known && revision < event.revision && !secret.exists,
      );
      if (!wasThere || !ended) continue;
      violations.push({
        promise: "reborn",
        at: event.at,
        text: `stream ${event.stream}: ${event.revision} after ${known}, and that the secret ended in between was not told`,
      });
    }
  }
  return violations;
};
