import type { SlotInfo } from "../../clients/typescript/src/index.ts";
import { count, type Output, type Style, time } from "./output.ts";

/** Above it a slot is taken for Unix seconds: no index grows that large, and it is a day of 1973. */
const FIRST_DATE = 100_000_000n;
/** From here on it is a day past the year 5000: milliseconds, or something else. */
const LAST_DATE = 100_000_000_000n;

/** A slot's number, with its date where it is Unix seconds. */
export function pointOf(slot: bigint): string {
  if (slot <= FIRST_DATE || slot >= LAST_DATE) return String(slot);
  return `${slot} (${time(new Date(Number(slot) * 1000))})`;
}

interface Mark {
  readonly dot: string;
  readonly word: string;
  readonly style: Style;
}

const MARKS = {
  current: { dot: "●", word: "current", style: "green" },
  ENABLED: { dot: "○", word: "enabled", style: "reset" },
  DISABLED: { dot: "◌", word: "disabled", style: "yellow" },
  DESTROYED: { dot: "×", word: "destroyed", style: "red" },
} as const satisfies Record<SlotInfo["state"] | "current", Mark>;

/** The slots in rising order on a rail, each with what it answers for. `hidden` ones stand before them, unseen. */
export function drawTimeline(
  out: Output,
  slots: readonly SlotInfo[],
  current: bigint | undefined,
  hidden: number,
): void {
  const points = slots.map(({ slot }) => pointOf(slot));
  const width = Math.max(...points.map((point) => point.length));
  if (hidden > 0) out.line(`  ⋮  ${count(hidden, "lower slot")} not shown; --all shows every one`);
  slots.forEach((slot, at) => {
    if (at > 0 || hidden > 0) out.line("  │");
    const mark: Mark = slot.slot === current ? MARKS.current : MARKS[slot.state];
    const facts = [
      out.paint(mark.style, mark.word.padEnd(9)),
      slot.state === "DESTROYED" ? "" : count(slot.size, "byte"),
      `revision ${slot.revision}`,
      `written ${time(slot.createTime)}`,
      slot.state === "ENABLED" ? reach(slot, slots.slice(at + 1)) : "",
    ].filter((fact) => fact !== "");
    out.line(`  ${out.paint(mark.style, mark.dot)}  ${points[at]?.padEnd(width)}  ${facts.join("  ")}`);
  });
}

/** Which points this slot answers: up to the next enabled one. */
function reach({ slot }: SlotInfo, above: readonly SlotInfo[]): string {
  const next = above.find(({ state }) => state === "ENABLED");
  if (next === undefined) return `effective from ${slot} on`;
  const last = next.slot - 1n;
  return last === slot ? `effective at ${slot}` : `effective ${slot} to ${last}`;
}
