import { show } from "../answers.ts";
import type { Entry, Event, Validator, Violation } from "../history.ts";
import { type Secret, size } from "../model.ts";
import { isState, streamsOf } from "../streams.ts";
import { indexAt, timelines } from "../timeline.ts";
import { mixture, views } from "../views.ts";

/** What may be on its way to a reader who takes nothing: grpc-js reads 16 messages ahead, HTTP/2 holds 64 KiB. */
const IN_FLIGHT_BYTES = 20 * 65_536;

/**
 * W5: every event is a state that the store really had, whole and at that revision; what a WatchSlots reader holds at
 * `synced` or `progress` is the store at that one revision. A stalled reader finds at most one event waiting beyond
 * what the transport holds.
 */
export const w05: Validator = (history) => {
  const violations: Violation[] = [];
  const { byName } = timelines(history);
  for (const stream of streamsOf(history)) {
    const bad = (event: Event, text: string) =>
      violations.push({ promise: "W5", at: event.at, text: `stream ${event.stream}: ${text}` });
    for (const event of stream.events) {
      const line = byName.get(event.name ?? "") ?? [];
      if (stream.watch.rpc === "secret" && isState(event)) {
        const { secret } = line[indexAt(line, event.revision)] ?? {};
        const { kind, revision, slot, value, reason } = event;
        const got = kind === "current" ? { kind, slot, value, revision } : { kind, reason, revision };
        if (show(secret?.shown) !== show(got))
          bad(event, `never so: ${show(got)}, but ${show(secret?.shown)}`);
      }
      if (event.kind === "slot" && !line.some(({ secret }) => holds(secret, event, stream.watch.view))) {
        bad(event, `${event.name} never had slot ${event.slot} = ${event.value} at ${event.revision}`);
      }
      if (event.kind === "failed") bad(event, `slot ${event.slot} of ${event.name} does not open`);
    }
    if (stream.watch.rpc === "slots") {
      for (const [at, view] of views(history, stream)) {
        const event = stream.events.find((each) => each.at === at);
        const wrong = event && mixture(view, event, stream.watch, byName);
        if (event !== undefined && wrong !== undefined)
          bad(event, `${event.kind} at ${event.revision}: ${wrong}`);
      }
    }
    violations.push(...waiting(history, stream.events, stream.watch.stream));
  }
  return violations;
};

function holds(secret: Secret, event: Event, view: "all" | "current"): boolean {
  const slot = secret.slots.get(event.slot ?? -1n);
  if (slot?.state !== "enabled" || slot.value !== event.value) return false;
  return view === "all" ? slot.changed === event.revision : secret.shown.revision === event.revision;
}

/** States, already superseded when a stalled reader went on, that came to it all the same. */
function waiting(history: readonly Entry[], events: readonly Event[], stream: number): Violation[] {
  const flows = history.flatMap((entry) =>
    entry.type === "flow" && entry.stream === stream ? [entry.at] : [],
  );
  return flows.flatMap((at) => {
    const written = new Set(
      history.flatMap((entry) =>
        entry.type === "call" && entry.end < at && entry.answer.code === "OK"
          ? [(entry.answer as { revision?: bigint }).revision]
          : [],
      ),
    );
    const stale = events.filter(
      (event) => event.at > at && event.kind === "current" && written.has(event.revision),
    );
    // The newest may come in any case, and one may have waited.
    const bytes = stale.slice(0, -2).reduce((sum, { value }) => sum + size(value ?? ""), 0);
    if (bytes <= IN_FLIGHT_BYTES) return [];
    return [
      { promise: "W5", at, text: `stream ${stream}: ${bytes} bytes of superseded states waited for it` },
    ];
  });
}
