import type { Applied, Entry, Following } from "../history.ts";
import { NEW_SECRET } from "../model.ts";
import { knownAfter, type Stream } from "../streams.ts";
import { timelines } from "../timeline.ts";
import { differs, mixture, views } from "../views.ts";

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

/** What a client of ours last showed of a secret. */
export const lastShown = (history: readonly Entry[], handle: number, name: string): Applied | undefined =>
  history.findLast(
    (entry): entry is Applied => entry.type === "applied" && entry.handle === handle && entry.name === name,
  );

/** What a client of ours lacks of the last states, undefined when it has them all, or still waits for a first value. */
export function clientBehind(history: readonly Entry[], client: Following): string | undefined {
  const { byName } = timelines(history);
  const last = client.names.map((name) => ({
    name,
    secret: byName.get(name)?.at(-1)?.secret ?? NEW_SECRET,
    shown: lastShown(history, client.handle, name),
  }));
  const opened = last.some(({ shown }) => shown !== undefined);
  if (!opened && last.some(({ secret }) => secret.shown.kind === "absent")) return undefined;
  for (const { name, secret, shown } of last) {
    const wrong = shown === undefined ? "nothing" : differs(shown, secret, client.view);
    if (wrong !== undefined) return `it has ${name} as ${wrong}`;
  }
  return undefined;
}
