import type { Validator, Violation } from "../history.ts";
import { streamsOf } from "../streams.ts";
import { behind } from "./caught-up.ts";

/**
 * W13: a stalled watcher delays nobody: whoever reads catches up while it stalls (the run settles the others before it
 * lets the stalled go on). It is closed only with UNAVAILABLE SLOW_CONSUMER, and never one that reads.
 */
export const w13: Validator = (history) => {
  const violations: Violation[] = [];
  const bad = (at: number, text: string) => violations.push({ promise: "W13", at, text });
  for (const stream of streamsOf(history)) {
    const { watch, end } = stream;
    const stalls = history.filter((entry) => entry.type === "stall" && entry.stream === watch.stream);
    if (end?.reason === "SLOW_CONSUMER") {
      if (end.code !== "UNAVAILABLE") bad(end.at, `stream ${watch.stream}: ${end.code} SLOW_CONSUMER`);
      if (stalls.length === 0) bad(end.at, `stream ${watch.stream}: SLOW_CONSUMER, and it read all along`);
    }
  }
  for (const [index, settled] of history.entries()) {
    if (settled.type !== "settled") continue;
    const stalled = new Set<number>();
    for (const entry of history.slice(0, index)) {
      if (entry.type === "stall") stalled.add(entry.stream);
      if (entry.type === "flow") stalled.delete(entry.stream);
    }
    if (stalled.size === 0) continue;
    for (const stream of streamsOf(history)) {
      if (!settled.open.includes(stream.watch.stream) || stalled.has(stream.watch.stream)) continue;
      const text = behind(history, stream, settled.at);
      if (text !== undefined) bad(settled.at, `stream ${stream.watch.stream}, while another stalls: ${text}`);
    }
  }
  return violations;
};
