import type { Answers, Applied, Validator, Violation } from "../history.ts";
import { indexAt, type Timeline, timelines } from "../timeline.ts";
import { differs } from "../views.ts";

/** The last state that a client showed of a secret, and the earliest place in the timeline at which it was so. */
interface Known {
  readonly shown: Applied;
  readonly index: number;
}

/** Two clocks are read one after the other. */
const CLOCKS_MS = 1;

/**
 * W14: a client's value never goes back to an older revision within an epoch, each change is shown once, none is left
 * out, and each is a state that the store had. With the server gone it keeps answering with what it showed last, and
 * says how old that is.
 */
export const w14: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  const known = new Map<string, Known>();
  for (const entry of history) {
    if (entry.type !== "applied" && entry.type !== "answers") continue;
    const key = `${entry.handle} ${entry.name}`;
    const before = known.get(key);
    const bad = (text: string) =>
      violations.push({
        promise: "W14",
        at: entry.at,
        text: `client ${entry.handle}, ${entry.name}: ${text}`,
      });
    if (entry.type === "answers") {
      const text = wrongAnswer(entry, before?.shown);
      if (text !== undefined) bad(text);
      continue;
    }
    const { previous } = entry;
    if (before !== undefined && !isSame(previous, before.shown))
      bad(
        `${entry.revision} took the place of ${previous?.revision}, and ${before.shown.revision} was shown last`,
      );
    const inEpoch = before?.shown.epoch === entry.epoch ? before : undefined;
    if (inEpoch !== undefined && entry.revision <= inEpoch.shown.revision)
      bad(`showed ${entry.revision} after ${inEpoch.shown.revision}`);
    const line = byName.get(entry.name) ?? [];
    const earliest = Math.max(indexAt(line, entry.revision), (inEpoch?.index ?? -1) + 1);
    const index = placeOf(entry, line, earliest);
    if (index === undefined) {
      const { secret } = line[Math.min(earliest, line.length - 1)] ?? {};
      bad(
        `showed ${entry.revision} as ${secret && differs(entry, secret, entry.view)}, or a state a second time`,
      );
    }
    known.set(key, { shown: entry, index: index ?? inEpoch?.index ?? -1 });
  }
  return violations;
};

/** Where in a timeline a shown state is found, from a place on, among what had begun by then. */
function placeOf(shown: Applied, line: Timeline, earliest: number): number | undefined {
  for (let index = earliest; index < line.length; index++) {
    const { call, secret } = line[index] as Timeline[number];
    if (call !== undefined && call.start > shown.at) return undefined;
    if (differs(shown, secret, shown.view) === undefined) return index;
  }
  return undefined;
}

function wrongAnswer(answer: Answers, shown: Applied | undefined): string | undefined {
  if (!answer.ok) return "does not answer with what it has";
  if (shown !== undefined && !isSame(answer, shown))
    return `answers with ${answer.revision}, and showed ${shown.revision} last`;
  const { ageMs, ms, unheardSince = ms } = answer;
  if (ageMs === undefined || ageMs < 0) return `says that it is ${ageMs} ms old`;
  const over = ms - ageMs - unheardSince;
  return over > CLOCKS_MS ? `says that it heard the server ${over} ms after that was gone` : undefined;
}

const isSame = (
  one: Pick<Applied, "epoch" | "revision"> | undefined,
  other: Pick<Applied, "epoch" | "revision">,
): boolean => one?.epoch === other.epoch && one.revision === other.revision;
