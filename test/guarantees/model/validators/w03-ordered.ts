import type { Event, Validator, Violation } from "../history.ts";
import { isState, streamsOf } from "../streams.ts";

/**
 * W3: on one stream the revisions of a secret's states strictly rise. From stream to stream of one client they never
 * fall within an epoch, unless it asked for that with an older token.
 */
export const w03: Validator = (history) => {
  const violations: Violation[] = [];
  const bad = (event: Event, text: string) =>
    violations.push({ promise: "W3", at: event.at, text: `stream ${event.stream}: ${text}` });
  /** By watcher, name and epoch: the newest state it was shown. */
  const newest = new Map<string, bigint>();

  for (const { watch, events } of streamsOf(history)) {
    const last = new Map<string, bigint>();
    const anew = watch.resume !== undefined && watch.resume.kind !== "right";
    for (const event of events) {
      if (event.kind === "begin") {
        for (const key of [...last.keys()]) if (key.startsWith(`${event.name} `)) last.delete(key);
      }
      if (event.kind === "history_reset") last.clear();
      const key = keyOf(event, watch.rpc);
      if (key === undefined) continue;
      const before = last.get(key);
      if (before !== undefined && !rises(event, before)) {
        bad(event, `${key}: revision ${event.revision} after ${before}`);
      }
      last.set(key, event.revision);
      if (watch.rpc !== "secret" && event.kind !== "synced") continue;
      const across = `${watch.watcher} ${watch.rpc} ${key} ${event.epoch}`;
      const known = newest.get(across);
      if (!anew && known !== undefined && event.revision < known) {
        bad(event, `${key}: revision ${event.revision}, and the same client had seen ${known}`);
      }
      if (known === undefined || event.revision > known) newest.set(across, event.revision);
    }
  }
  return violations;
};

/** A set of one revision may hold a slot once, so a slot's revisions rise too; `synced` may repeat the store's. */
const rises = (event: Event, before: bigint): boolean =>
  event.kind === "synced" ? event.revision >= before : event.revision > before;

function keyOf(event: Event, rpc: "secret" | "slots"): string | undefined {
  if (rpc === "secret") return isState(event) ? `${event.name} state` : undefined;
  if (event.kind === "synced") return "store";
  if (event.kind === "slot" || event.kind === "removed") return `${event.name} slot ${event.slot}`;
  return undefined;
}
