import type { Validator, Violation } from "../history.ts";
import { isGenuine, isState, knownAfter, origin, streamsOf } from "../streams.ts";
import { views } from "../views.ts";

/** W4: no state twice on a stream, and after a resume the first state is newer than what the token stood for. */
export const w04: Validator = (history) => {
  const violations: Violation[] = [];
  for (const stream of streamsOf(history)) {
    const { watch, events } = stream;
    const bad = (at: number, text: string) =>
      violations.push({ promise: "W4", at, text: `stream ${watch.stream}: ${text}` });
    const from = isGenuine(watch) ? origin(history, watch) : undefined;
    const reset = events.some(({ kind }) => kind === "history_reset");
    if (watch.rpc === "secret") {
      const given = new Set<bigint>();
      for (const event of events.filter(isState)) {
        if (given.has(event.revision)) bad(event.at, `the state of ${event.revision} came twice`);
        given.add(event.revision);
      }
      const known = from === undefined ? undefined : knownAfter(history, from.stream, from.event);
      const first = events.find(isState);
      if (!reset && known !== undefined && first !== undefined && first.revision <= known) {
        bad(first.at, `resumed after the state of ${known}, and was sent that of ${first.revision}`);
      }
      continue;
    }
    const held = from === undefined || reset ? undefined : views(history, from.stream).get(from.event.at);
    const begun = new Set<string>();
    const given = new Set<string>();
    for (const { at, kind, name, slot, revision } of events) {
      if (kind === "begin") begun.add(name ?? "");
      if (kind !== "slot" && kind !== "removed") continue;
      const key = `${kind} ${name} ${slot} ${revision}`;
      if (given.has(key) && !begun.has(name ?? "")) bad(at, `${key} came twice`);
      given.add(key);
      const had = held?.get(name ?? "")?.slots.get(slot ?? -1n);
      if (kind === "slot" && !begun.has(name ?? "") && had !== undefined && had.revision >= revision) {
        bad(at, `resumed with slot ${slot} of ${name} at ${had.revision}, and was sent it at ${revision}`);
      }
    }
  }
  return violations;
};
