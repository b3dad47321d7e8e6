import type { Event, Validator, Violation } from "../history.ts";
import { tookTooLong } from "../lateness.ts";
import { isState, knownAfter, streamsOf } from "../streams.ts";
import { indexAt, timelines } from "../timeline.ts";
import { mixture, views } from "../views.ts";

const PROMISED_MS = 10_000;

/**
 * W7: after `progress` at p no older state follows, and what the reader has by then is the state at p. An idle stream
 * has one at least every 10 s, and what the machine was measured to be late.
 */
export const w07: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  const now = Math.max(0, ...history.flatMap((entry) => (entry.type === "settled" ? [entry.ms] : [])));
  for (const stream of streamsOf(history)) {
    const bad = (event: Event, text: string) =>
      violations.push({ promise: "W7", at: event.at, text: `stream ${event.stream}: ${text}` });
    const slots = stream.watch.rpc === "slots" ? views(history, stream) : undefined;
    let progress = -1n;
    for (const event of stream.events) {
      const states = isState(event) || event.kind === "slot" || event.kind === "removed";
      // A `begin` is followed by the whole state, old parts too; a reset begins anew.
      if (stream.watch.rpc === "secret" && states && event.revision <= progress) {
        bad(event, `a state of ${event.revision} after progress at ${progress}`);
      }
      if (event.kind === "history_reset") progress = -1n;
      if (event.kind !== "progress") continue;
      if (event.revision < progress) bad(event, `progress at ${event.revision} after ${progress}`);
      progress = event.revision;
      if (slots !== undefined) {
        const wrong = mixture(slots.get(event.at) ?? new Map(), event, stream.watch, byName);
        if (wrong !== undefined) bad(event, `progress at ${progress}, but ${wrong}`);
        continue;
      }
      const line = byName.get(stream.watch.names[0] ?? "") ?? [];
      const shown = line[indexAt(line, progress)]?.secret.shown;
      const known = knownAfter(history, stream, event);
      if (shown !== undefined && known !== shown.revision) {
        bad(
          event,
          `progress at ${progress} with the state of ${known}, and that of ${shown.revision} was to be had`,
        );
      }
    }
    const last = stream.end?.ms ?? now;
    const times = [...stream.events.map(({ ms }) => ms), ...(stream.events.length > 0 ? [last] : [])];
    for (const [index, ms] of times.entries()) {
      const before = times[index - 1];
      if (before === undefined || stalled(history, stream.watch.stream)) continue;
      if (!tookTooLong(history, { from: before, to: ms, promisedMs: PROMISED_MS })) continue;
      violations.push({
        promise: "W7",
        at: stream.watch.at,
        text: `stream ${stream.watch.stream}: silent for ${ms - before} ms`,
      });
    }
  }
  return violations;
};

const stalled = (history: Parameters<Validator>[0], stream: number): boolean =>
  history.some((entry) => entry.type === "stall" && entry.stream === stream);
