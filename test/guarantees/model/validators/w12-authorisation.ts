import type { Access, Validator, Violation } from "../history.ts";
import { tookTooLong } from "../lateness.ts";
import { streamsOf } from "../streams.ts";
import { DENIED } from "../timeline.ts";

const PROMISED_MS = 1_000;

/**
 * W12: nothing committed after a revocation is delivered, and the stream ends for it within 1 s and what the machine was
 * measured to be late; calls begun later are refused. And nobody is refused without cause.
 */
export const w12: Validator = (history) => {
  const violations: Violation[] = [];
  const changes = history.filter((entry): entry is Access => entry.type === "access");
  const bad = (at: number, text: string) => violations.push({ promise: "W12", at, text });
  const settled = history.findLast((entry) => entry.type === "settled");

  for (const { watch, events, end } of streamsOf(history)) {
    const taken = changes.filter((change) => takes(change, watch));
    for (const change of taken) {
      if (restored(changes, change, watch.at)) continue;
      const late = events.find(
        ({ kind, revision, at }) =>
          revision > change.revision &&
          at > change.end &&
          ["current", "absent", "slot", "removed", "synced"].includes(kind),
      );
      const back = changes.find(
        ({ what, client, start }) => what === "back" && client === watch.client && start > change.start,
      );
      // With the grant back before the stream had noticed, it may go on.
      if (back !== undefined) continue;
      if (late !== undefined)
        bad(
          late.at,
          `stream ${watch.stream}: ${late.revision} was delivered after ${change.what} was taken at ${change.revision}`,
        );
      if (end === undefined && settled !== undefined)
        bad(settled.at, `stream ${watch.stream}: goes on without its ${change.what}`);
      const stalled = history.some((entry) => entry.type === "stall" && entry.stream === watch.stream);
      const from = Math.max(change.ms, watch.ms);
      if (
        end !== undefined &&
        !stalled &&
        tookTooLong(history, { from, to: end.ms, promisedMs: PROMISED_MS })
      ) {
        bad(
          end.at,
          `stream ${watch.stream}: went on for ${Math.round(end.ms - from)} ms without its ${change.what}`,
        );
      }
      if (end !== undefined && change.end < watch.at && events.length > 0) {
        bad(end.at, `stream ${watch.stream}: began after its ${change.what} was taken`);
      }
    }
    if (end !== undefined && DENIED.has(end.code) && !justified(changes, watch, end.code, watch.at, end.at)) {
      bad(end.at, `stream ${watch.stream}: ${end.code} without cause`);
    }
  }

  for (const entry of history) {
    if (entry.type !== "call") continue;
    const { client, token, start, end, answer } = entry;
    const taken = changes.filter((change) => takes(change, { client, token }) && change.end < start);
    const gone = taken.find((change) => !changes.some((other) => gives(other, change) && other.start < end));
    if (gone !== undefined && !DENIED.has(answer.code))
      bad(end, `a call answered ${answer.code} after its ${gone.what} was taken`);
    if (DENIED.has(answer.code) && !justified(changes, { client, token }, answer.code, start, end)) {
      bad(end, `a call was refused ${answer.code} without cause`);
    }
  }
  return violations;
};

interface Who {
  readonly client: number;
  readonly token: number;
}

const takes = (change: Access, { client, token }: Who): boolean =>
  change.client === client &&
  (change.what === "grant" || (change.what === "token" && change.token === token));

const gives = (change: Access, taken: Access): boolean =>
  taken.what === "grant" &&
  change.what === "back" &&
  change.client === taken.client &&
  change.start > taken.start;

/** Taken, and given back again before `at`. */
const restored = (changes: readonly Access[], taken: Access, at: number): boolean =>
  changes.some((change) => gives(change, taken) && change.end < at);

function justified(changes: readonly Access[], who: Who, code: string, start: number, end: number): boolean {
  const what = code === "UNAUTHENTICATED" ? "token" : "grant";
  return changes.some(
    (change) =>
      change.what === what && takes(change, who) && change.start < end && !restored(changes, change, start),
  );
}
