import type { Validator, Violation } from "../history.ts";
import { isMutation, seenBy } from "../timeline.ts";

/**
 * D6: a backup is of a state that the store had while it was made, and what is restored is a new epoch. That it is
 * that very state shows by itself: all else that is checked after a restore begins with it.
 */
export const d06: Validator = (history) => {
  const violations: Violation[] = [];
  const seen = seenBy(history);
  const [began] = history;
  const before = began?.type === "restored" ? began.epochs : new Set<string>();
  for (const entry of history) {
    if (entry.type === "backup" && entry.revision < seen(entry.start)) {
      const text = `a backup of ${entry.revision}, and ${seen(entry.start)} had been seen before it`;
      violations.push({ promise: "D6", at: entry.end, text });
    }
    const shown =
      entry.type === "event"
        ? entry.at
        : entry.type === "call" && !isMutation(entry.op)
          ? entry.end
          : undefined;
    if (shown !== undefined && "epoch" in entry && before.has(entry.epoch ?? "")) {
      violations.push({ promise: "D6", at: shown, text: `epoch ${entry.epoch} came back with a restore` });
    }
  }
  return violations;
};
