import type { Entry, Following, Settled, Validator, Violation } from "../history.ts";
import { tookTooLong } from "../lateness.ts";
import { type Stream, streamsOf } from "../streams.ts";
import { behind, clientBehind, lastShown } from "./caught-up.ts";

const PROMISED_MS = 1_000;
/** From the last attempt of a client of ours that failed: within 5 s it tries again, if it has ever heard a server. */
const CLIENT_BACK_MS = 6_000;
/** One that never has waits for up to 10 s. */
const NEW_CLIENT_BACK_MS = 11_000;

/**
 * W6: when writes stop, every connected authorised watcher comes to have the last state, within 1 s of that or of being
 * back; what the machine was measured to be late is added.
 */
export const w06: Validator = (history) => {
  const violations: Violation[] = [];
  for (const settled of history) {
    if (settled.type !== "settled") continue;
    for (const client of settled.handles) {
      const until = history.filter((entry) => !("at" in entry) || entry.at <= settled.at);
      const text = clientBehind(until, client) ?? clientLate(until, client, settled);
      if (text !== undefined)
        violations.push({ promise: "W6", at: settled.at, text: `client ${client.handle}: ${text}` });
    }
    for (const stream of streamsOf(history)) {
      if (!settled.open.includes(stream.watch.stream)) continue;
      const text = behind(history, stream, settled.at) ?? late(history, stream, settled);
      if (text !== undefined)
        violations.push({ promise: "W6", at: settled.at, text: `stream ${stream.watch.stream}: ${text}` });
    }
  }
  return violations;
};

/** When the last state came, should that be too late. */
function late(history: readonly Entry[], stream: Stream, settled: Settled): string | undefined {
  const { watch, events } = stream;
  const flows = history.flatMap((entry) =>
    entry.type === "flow" && entry.stream === watch.stream && entry.at < settled.at ? [entry.ms] : [],
  );
  const from = Math.max(settled.quietMs, watch.ms, ...flows);
  // It was there by then, so only how soon is open.
  if (!tookTooLong(history, { from, to: settled.ms, promisedMs: PROMISED_MS })) return undefined;
  const arrival = events.find(({ at }) => behind(history, stream, at) === undefined);
  const to = arrival?.ms ?? from;
  if (!tookTooLong(history, { from, to, promisedMs: PROMISED_MS })) return undefined;
  return `the last state came ${Math.round(to - from)} ms after the last write, or after it was back`;
}

/** A client of ours opens its stream again by itself, so how soon is counted from its last attempt that failed. */
function clientLate(history: readonly Entry[], client: Following, settled: Settled): string | undefined {
  const shown = client.names.flatMap((name) => lastShown(history, client.handle, name)?.ms ?? []);
  const to = Math.max(...shown, 0);
  const from = Math.max(settled.quietMs, client.ms);
  const backFrom = client.downMs ?? Number.NEGATIVE_INFINITY;
  if (!tookTooLong(history, { from, to, promisedMs: PROMISED_MS })) return undefined;
  const heard = history.some(
    (entry) => entry.type === "applied" && entry.handle === client.handle && entry.ms < backFrom,
  );
  const promisedMs = heard ? CLIENT_BACK_MS : NEW_CLIENT_BACK_MS;
  if (!tookTooLong(history, { from: backFrom, to, promisedMs })) return undefined;
  return `the last state came ${Math.round(to - from)} ms after the last write`;
}
