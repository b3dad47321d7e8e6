import type { Validator, Violation } from "../history.ts";
import { streamsOf } from "../streams.ts";
import { behind } from "./caught-up.ts";

/**
 * W6: when writes stop, every connected authorised watcher comes to have the last state. The runner waits for that
 * with a bound of its own, far above the second that is promised, for the machine may be busy.
 */
export const w06: Validator = (history) => {
  const violations: Violation[] = [];
  for (const settled of history) {
    if (settled.type !== "settled") continue;
    for (const stream of streamsOf(history)) {
      if (!settled.open.includes(stream.watch.stream)) continue;
      const text = behind(history, stream, settled.at);
      if (text !== undefined)
        violations.push({ promise: "W6", at: settled.at, text: `stream ${stream.watch.stream}: ${text}` });
    }
  }
  return violations;
};
