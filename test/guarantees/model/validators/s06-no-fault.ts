import { isFault } from "../ended-how.ts";
import type { Validator, Violation } from "../history.ts";

/**
 * S6: nothing that a client does, and no fault around the server, makes it answer INTERNAL with a reason of its own:
 * that says that it met something it did not expect. Without a reason it is the client's library, about a connection.
 */
export const s06: Validator = (history) => {
  const violations: Violation[] = [];
  for (const entry of history) {
    if (entry.type === "end" && isFault(entry)) {
      violations.push({ promise: "S6", at: entry.at, text: `stream ${entry.stream} ended with INTERNAL` });
    }
    if (entry.type === "call" && isFault(entry.answer)) {
      violations.push({ promise: "S6", at: entry.end, text: `${entry.op.op} of ${entry.name}: INTERNAL` });
    }
  }
  return violations;
};
