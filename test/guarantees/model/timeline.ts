import { agrees } from "./answers.ts";
import type { Call, Entry, Violation } from "./history.ts";
import { NEW_SECRET, type Op, type Secret, step } from "./model.ts";
import { repeats } from "./requests.ts";

/** The states a secret had, oldest first; the first is the one before anything happened to it. */
export type Timeline = readonly {
  readonly revision: bigint;
  readonly secret: Secret;
  readonly call?: Call;
}[];

export const isMutation = ({ op }: Op): boolean => !["get", "at", "describe", "list"].includes(op);
export const DENIED = new Set(["UNAUTHENTICATED", "PERMISSION_DENIED"]);

/** The revision at which an answered call says it took effect, should it have. */
export function claimed({ op, answer }: Call): bigint | undefined {
  if (answer.code !== "OK" || !isMutation(op)) return undefined;
  const { slotRevision, revision } = answer as { slotRevision?: bigint; revision?: bigint };
  return slotRevision ?? revision;
}

export interface Timelines {
  readonly byName: ReadonlyMap<string, Timeline>;
  /** Answered calls that are no change by themselves: reads, refusals, and what found its work done. */
  readonly rest: readonly Call[];
  readonly violations: readonly Violation[];
}

const cache = new WeakMap<readonly Entry[], Timelines>();

/** Puts the changes in the order of their revisions and runs the model over them. */
export function timelines(history: readonly Entry[]): Timelines {
  const known = cache.get(history);
  if (known !== undefined) return known;
  const byName = new Map<string, Timeline>();
  const rest: Call[] = [];
  const repeated = repeats(history);
  const violations: Violation[] = [...repeated.violations];
  const revisions = new Map<bigint, string>();
  const calls = history.filter((entry): entry is Call => entry.type === "call");
  const [began] = history;
  const before = began?.type === "restored" ? began.lines : new Map<string, Timeline>();
  for (const name of namesOf(history)) {
    const line = [...(before.get(name) ?? [{ revision: 0n, secret: NEW_SECRET }])];
    const claims: { call: Call; revision: bigint }[] = [];
    for (const call of calls) {
      if (call.name !== name || repeated.calls.has(call) || DENIED.has(call.answer.code)) continue;
      const revision = claimed(call);
      if (revision === undefined) rest.push(call);
      else claims.push({ call, revision });
    }
    claims.sort((a, b) =>
      a.revision === b.revision ? a.call.start - b.call.start : a.revision < b.revision ? -1 : 1,
    );
    while (claims.length > 0) {
      const { secret } = line[line.length - 1] as { secret: Secret };
      const revision = (claims[0] as { revision: bigint }).revision;
      const same = claims.splice(0, claims.filter((claim) => claim.revision === revision).length);
      // Of several that name one revision, one made it and the others found its work done. Only a put can have made
      // what a put names.
      same.sort((a, b) => Number(b.call.op.op === "put") - Number(a.call.op.op === "put"));
      const maker =
        same.find(({ call }) => agrees(call.answer, step(secret, call.op, revision).answer)) ?? same[0];
      const call = maker?.call as Call;
      const next = step(secret, call.op, revision);
      const made = revision > secret.revision && next.changed;
      rest.push(...same.filter((claim) => !made || claim !== maker).map((claim) => claim.call));
      if (!made) continue;
      if (revisions.has(revision)) {
        violations.push({
          promise: "revision",
          at: call.end,
          text: `revision ${revision} was given to a change of ${name} and to one of ${revisions.get(revision)}`,
        });
      }
      revisions.set(revision, name);
      line.push({ revision, secret: next.secret, call });
    }
    byName.set(name, line);
  }
  const result = { byName, rest, violations };
  cache.set(history, result);
  return result;
}

export function namesOf(history: readonly Entry[]): Set<string> {
  const names = new Set<string>();
  for (const entry of history) {
    if (entry.type === "call") names.add(entry.name);
    if (entry.type === "watch") for (const name of entry.names) names.add(name);
    if (entry.type === "restored") for (const name of entry.lines.keys()) names.add(name);
  }
  return names;
}

/** The place in a timeline of the newest change at or below `revision`. */
export function indexAt(line: Timeline, revision: bigint): number {
  let index = line.length - 1;
  while (index > 0 && (line[index]?.revision ?? 0n) > revision) index--;
  return index;
}

/**
 * The newest revision that anyone had seen by each moment: what W10 lets nobody fall behind again. A revision counts
 * from the moment at which an answer or an event showed it.
 */
export function seenBy(history: readonly Entry[]): (at: number) => bigint {
  const sightings: { at: number; revision: bigint }[] = [];
  for (const entry of history) {
    if (entry.type === "event") sightings.push({ at: entry.at, revision: entry.revision });
    if (entry.type === "access" || entry.type === "backup")
      sightings.push({ at: entry.end, revision: entry.revision });
    if (entry.type === "restored") sightings.push({ at: entry.at, revision: entry.revision });
    if (entry.type === "call" && entry.answer.code === "OK") {
      const revision = claimed(entry) ?? (entry.answer as { revision?: bigint }).revision;
      if (revision !== undefined) sightings.push({ at: entry.end, revision });
    }
  }
  sightings.sort((a, b) => a.at - b.at);
  let newest = 0n;
  for (const sighting of sightings) {
    if (sighting.revision > newest) newest = sighting.revision;
    sighting.revision = newest;
  }
  return (at) => {
    let [low, high] = [0, sightings.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sightings[middle] as { at: number }).at < at) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0n : (sightings[low - 1] as { revision: bigint }).revision;
  };
}

/** The states of `name` that something between `start` and `end` may have met: none superseded, none not yet begun. */
export function window(
  line: Timeline,
  seen: bigint,
  end: number,
): { readonly from: number; readonly to: number } {
  const from = indexAt(line, seen);
  let to = line.length - 1;
  while (to > from && (line[to]?.call?.start ?? 0) > end) to--;
  return { from, to };
}
