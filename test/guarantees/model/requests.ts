import { isDeepStrictEqual } from "node:util";
import { show } from "./answers.ts";
import type { Call, Entry, Violation } from "./history.ts";

/**
 * Mutations that repeat the request id of one that succeeded: each must answer as the first time, or REQUEST_ID_REUSED
 * when its content is another. They do nothing, so the other checks leave them out.
 */
export function repeats(history: readonly Entry[]): {
  readonly calls: ReadonlySet<Call>;
  readonly violations: readonly Violation[];
} {
  const calls = new Set<Call>();
  const violations: Violation[] = [];
  const groups = new Map<string, Call[]>();
  for (const entry of history) {
    if (entry.type !== "call" || !("id" in entry.op)) continue;
    const key = `${entry.client} ${entry.op.op} ${entry.op.id}`;
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  for (const [key, group] of groups) {
    const succeeded: Call[] = [];
    for (const call of group.sort((a, b) => a.start - b.start)) {
      const same = (other: Call) => isDeepStrictEqual(other.op, call.op) && other.name === call.name;
      const { answer } = call;
      if (answer.code !== "OK" && answer.reason === "REQUEST_ID_REUSED") {
        const cause = group.some(
          (other) => other.answer.code === "OK" && !same(other) && other.start < call.end,
        );
        calls.add(call);
        if (!cause) bad(call, key, "something else than REQUEST_ID_REUSED");
        continue;
      }
      const before = succeeded.find(({ end }) => end < call.start);
      const beside = succeeded.find((other) => same(other) && isDeepStrictEqual(other.answer, answer));
      if (before === undefined && beside === undefined) {
        if (answer.code === "OK") succeeded.push(call);
        continue;
      }
      calls.add(call);
      if (beside !== undefined) continue;
      bad(call, key, before !== undefined && same(before) ? show(before.answer) : "REQUEST_ID_REUSED");
    }
  }
  return { calls, violations };

  function bad(call: Call, key: string, expected: string): void {
    const text = `${call.op.op} of ${call.name} repeated ${key}: expected ${expected}, was ${show(call.answer)}`;
    violations.push({ promise: "request_id", at: call.end, text });
  }
}
