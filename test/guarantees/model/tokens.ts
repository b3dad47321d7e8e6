import { randomBytes } from "node:crypto";
import { decodeResumeToken, encodeResumeToken } from "../../../src/core/resume-token.ts";
import type { Resume, Watch } from "./history.ts";

/** What a stream watches. */
export type Target = Pick<Watch, "rpc" | "names" | "view" | "allowMissing">;

/** A resume token that a stream gave, with the `at` of its event. */
export interface Token {
  readonly text: string;
  readonly at: number;
  readonly target: Target;
}

/** The revision up to which its stream was told everything; undefined when it was told nothing yet. */
export function toldBy({ text, target }: Token): bigint | undefined {
  const { told } = decodeResumeToken(text, boundTo(target));
  return told === "nothing" ? undefined : told;
}

/** A token of that kind made from `token`, or taken from `others`; undefined when there is none to be had. */
export function tokenText(
  kind: Resume["kind"],
  { text, target }: Token,
  others: readonly Token[],
): string | undefined {
  const bound = boundTo(target);
  switch (kind) {
    case "right":
    case "old":
    case "lost":
      return text;
    case "garbage": {
      const middle = text.length >> 1;
      return text.slice(0, middle) + (text[middle] === "A" ? "B" : "A") + text.slice(middle + 1);
    }
    case "foreign":
      return others.find(({ target: other }) => JSON.stringify(boundTo(other)) !== JSON.stringify(bound))
        ?.text;
    case "future":
    case "diverged": {
      // As a copy of the store would make them that went further, or another way.
      const point = decodeResumeToken(text, bound);
      if (point.told === "nothing") return undefined;
      const changed =
        kind === "future"
          ? { ...point, told: (point.told + 1_000_000n) as typeof point.told }
          : { ...point, commitId: randomBytes(16) };
      return encodeResumeToken(changed);
    }
  }
}

function boundTo({ rpc, names, view }: Target) {
  return rpc === "secret"
    ? ({ rpc: "WatchSecret", subject: names[0] ?? "" } as const)
    : ({ rpc: "WatchSlots", subject: view === "all" ? "all-enabled" : "current" } as const);
}
