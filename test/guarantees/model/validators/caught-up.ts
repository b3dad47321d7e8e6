import type { Entry } from "../history.ts";
import { knownAfter, type Stream } from "../streams.ts";
import { timelines } from "../timeline.ts";
import { mixture, views } from "../views.ts";

/** What a stream's reader still lacks of the last states of its secrets at `at`, undefined when it has them all. */
export function behind(history: readonly Entry[], stream: Stream, at: number): string | undefined {
  const { byName } = timelines(history);
  if (stream.watch.rpc === "slots") {
    const view = [...views(history, stream)].findLast(([synced]) => synced <= at)?.[1];
    return mixture(view ?? new Map(), { revision: LAST }, stream.watch, byName);
  }
  const event = stream.events.findLast((each) => each.at <= at);
  const known = knownAfter(history, stream, event);
  const { revision } = byName.get(stream.watch.names[0] ?? "")?.at(-1)?.secret.shown ?? { revision: 0n };
  return known === revision ? undefined : `it has the state of ${known}, the last is of ${revision}`;
}

const LAST = 2n ** 64n;
