import type { End, Entry, Event, Watch } from "./history.ts";

/** One stream, from its opening to its end. */
export interface Stream {
  readonly watch: Watch;
  readonly events: readonly Event[];
  readonly end: End | undefined;
}

const cache = new WeakMap<readonly Entry[], readonly Stream[]>();

export function streamsOf(history: readonly Entry[]): readonly Stream[] {
  const known = cache.get(history);
  if (known !== undefined) return known;
  const streams = new Map<number, { watch: Watch; events: Event[]; end: End | undefined }>();
  for (const entry of history) {
    if (entry.type === "watch") streams.set(entry.stream, { watch: entry, events: [], end: undefined });
    if (entry.type === "event") streams.get(entry.stream)?.events.push(entry);
    if (entry.type === "end") {
      const stream = streams.get(entry.stream);
      if (stream !== undefined) stream.end = entry;
    }
  }
  const result = [...streams.values()];
  cache.set(history, result);
  return result;
}

/** Events of WatchSecret that show a state. */
export const isState = ({ kind }: Event): boolean => kind === "current" || kind === "absent";

/** The event that carried the token a stream was opened with. */
export function origin(
  history: readonly Entry[],
  watch: Watch,
): { event: Event; stream: Stream } | undefined {
  if (watch.resume === undefined) return undefined;
  for (const stream of streamsOf(history)) {
    const event = stream.events.find(({ at }) => at === watch.resume?.from);
    if (event !== undefined) return { event, stream };
  }
  return undefined;
}

/** True for a token that the server has to honour, as far as its making goes. */
export const isGenuine = ({ resume }: Watch): boolean => resume?.kind === "right" || resume?.kind === "old";

/**
 * The revision of the state that a WatchSecret stream's reader knows once it has read `event`, should it have come to
 * know one: through resumes, a token stands for what its reader knew.
 */
export function knownAfter(
  history: readonly Entry[],
  stream: Stream,
  event: Event | undefined,
): bigint | undefined {
  const until = event?.at ?? -1;
  for (const past of stream.events.filter(({ at }) => at <= until).reverse()) {
    if (isState(past)) return past.revision;
    if (past.kind === "history_reset") return undefined;
  }
  const from = origin(history, stream.watch);
  if (from === undefined || !isGenuine(stream.watch)) return undefined;
  return knownAfter(history, from.stream, from.event);
}
