import type { Validator, Violation } from "../history.ts";
import { isState, knownAfter, origin, streamsOf } from "../streams.ts";
import { seenBy, timelines, window } from "../timeline.ts";

/**
 * W8: a token of this history is honoured: `progress` when nothing changed, else the new state. One of another epoch,
 * of the future or of before a restore is answered with `history_reset` and then the state; one of another call or
 * secret, or a damaged one, is refused.
 */
export const w08: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  const seen = seenBy(history);
  for (const { watch, events, end } of streamsOf(history)) {
    if (watch.resume === undefined) continue;
    const { kind } = watch.resume;
    const bad = (at: number, text: string) =>
      violations.push({ promise: "W8", at, text: `stream ${watch.stream}: ${text}` });
    const [first, second] = events;
    if (kind === "foreign" || kind === "garbage") {
      if (first !== undefined) bad(first.at, `a ${kind} token was taken`);
      else if (end?.code === "INVALID_ARGUMENT" && end.reason !== "BAD_RESUME_TOKEN") bad(end.at, end.reason);
      else if (end?.code === "NOT_FOUND") bad(end.at, `a ${kind} token was overlooked`);
      continue;
    }
    if (end?.code === "INVALID_ARGUMENT" || end?.code === "NOT_FOUND")
      bad(end.at, `${kind} token: ${end.code} ${end.reason}`);
    if (first === undefined) continue;
    const from = origin(history, watch);
    const honoured = (kind === "right" || kind === "old") && from?.event.epoch === first.epoch;
    if (honoured !== (first.kind !== "history_reset")) {
      const of = from === undefined ? "before a restore" : `epoch ${from.event.epoch}`;
      bad(first.at, `${kind} token of ${of} was answered with ${first.kind} of ${first.epoch}`);
      continue;
    }
    if (!honoured || from === undefined) {
      const next =
        watch.rpc === "secret"
          ? second === undefined || isState(second)
          : second === undefined || second.kind === "begin";
      if (!next) bad(second?.at ?? first.at, `history_reset was followed by ${second?.kind}`);
      continue;
    }
    if (watch.rpc !== "secret") continue;
    const line = byName.get(watch.names[0] ?? "") ?? [];
    const { from: oldest, to } = window(line, seen(watch.at), first.at);
    const states = line.slice(oldest, to + 1).map(({ secret }) => secret.shown.revision);
    const known = knownAfter(history, from.stream, from.event);
    const unchanged = known !== undefined && states.includes(known);
    // Whoever knew a secret that was deleted is told that it ended, even when the name is in use again.
    const ended = line.some(({ revision, secret }) => revision === first.revision && !secret.exists);
    const news =
      isState(first) && (states.includes(first.revision) || (ended && first.revision > (known ?? 0n)));
    if (first.kind === "progress" ? !unchanged : !news) {
      bad(
        first.at,
        `resumed with the state of ${known}: ${first.kind} at ${first.revision}, possible were ${states}`,
      );
    }
  }
  return violations;
};
