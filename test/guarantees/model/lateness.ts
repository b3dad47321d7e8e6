import type { Entry } from "./history.ts";

/** How long in a span, all in all, something that takes part waited for the machine, milliseconds. */
export function lateness(history: readonly Entry[], from: number, to: number): number {
  let sum = 0;
  for (const entry of history) {
    if (entry.type !== "late") continue;
    sum += Math.max(0, Math.min(to, entry.end) - Math.max(from, entry.end - entry.ms));
  }
  return sum;
}

/** Whether a span is longer than was promised, and than the machine explains. */
export const tookTooLong = (
  history: readonly Entry[],
  { from, to, promisedMs }: { readonly from: number; readonly to: number; readonly promisedMs: number },
): boolean => to - from > promisedMs && to - from > promisedMs + lateness(history, from, to);
