import { show } from "./answers.ts";
import type { Entry, Event } from "./history.ts";
import { live, type Secret } from "./model.ts";
import { isGenuine, origin, type Stream } from "./streams.ts";
import { indexAt, type Timeline } from "./timeline.ts";

/** What a reader of WatchSlots holds of one secret. */
export interface Held {
  readonly slots: Map<bigint, { readonly value: string; readonly revision: bigint }>;
  absent: string | undefined;
}

export type View = Map<string, Held>;

const copy = (view: View): View =>
  new Map([...view].map(([name, { slots, absent }]) => [name, { slots: new Map(slots), absent }]));

/** What the reader of a WatchSlots stream holds at each of its events that carry a token, as its proto comment says. */
export function views(history: readonly Entry[], stream: Stream): ReadonlyMap<number, View> {
  const result = new Map<number, View>();
  const from = origin(history, stream.watch);
  const resumed = from !== undefined && isGenuine(stream.watch);
  let view: View = resumed ? copy(views(history, from.stream).get(from.event.at) ?? new Map()) : new Map();
  for (const name of view.keys()) if (!stream.watch.names.includes(name)) view.delete(name);
  for (const event of stream.events) {
    const name = event.name ?? "";
    if (event.kind === "history_reset") view = new Map();
    if (event.kind === "begin") view.set(name, { slots: new Map(), absent: undefined });
    const held = view.get(name);
    if (event.kind === "slot" && held !== undefined) {
      held.slots.set(event.slot ?? -1n, { value: event.value ?? "", revision: event.revision });
      held.absent = undefined;
    }
    if (event.kind === "removed") held?.slots.delete(event.slot ?? -1n);
    if (event.kind === "absent" && held !== undefined) {
      held.slots.clear();
      held.absent = event.reason;
    }
    if (event.kind === "synced" || event.kind === "progress") result.set(event.at, copy(view));
  }
  return result;
}

/** How a reader's view differs from the store at the revision it was said to be of. */
export function mixture(
  view: View,
  { revision }: Pick<Event, "revision">,
  watch: { readonly names: readonly string[]; readonly view: "all" | "current" },
  byName: ReadonlyMap<string, Timeline>,
): string | undefined {
  for (const name of watch.names) {
    const line = byName.get(name) ?? [];
    const secret = line[indexAt(line, revision)]?.secret;
    if (secret === undefined) continue;
    const held = view.get(name);
    if (held === undefined) return `nothing came of ${name}`;
    const slots = [...held.slots].map(([slot, { value }]) => [slot, value] as const);
    const wrong = differs({ slots, absent: held.absent }, secret, watch.view);
    if (wrong !== undefined) return `${name} is held as ${wrong}`;
  }
  return undefined;
}

/** How what is held of a secret differs from a state of it. */
export function differs(
  held: { readonly slots: readonly (readonly [bigint, string])[]; readonly absent?: string | undefined },
  secret: Secret,
  view: "all" | "current",
): string | undefined {
  const has = held.slots.map(([slot, value]) => `${slot}=${value}`).sort();
  const should = [...live(secret, view)].map(([slot, value]) => `${slot}=${value}`).sort();
  if (has.join() !== should.join()) return `${show(has)}, and was ${show(should)}`;
  const reason = secret.shown.kind === "absent" ? secret.shown.reason : undefined;
  return held.absent === reason ? undefined : `absent ${held.absent}, and was ${reason}`;
}
