import { agrees, show } from "./answers.ts";
import type { Call, Validator, Violation } from "./history.ts";
import { type Answer, NEW_SECRET, type Op, type Secret, step } from "./model.ts";
import { repeats } from "./requests.ts";
import { DENIED } from "./timeline.ts";

/** Steps of the search for one secret; a search that needs more says so rather than pass. */
const MAX_STEPS = 200_000;

/**
 * Linearizable, whatever the revisions say: some order of the calls, each between its start and its end, in which the
 * model gives the same answers (Wing & Gong's search, with Lowe's memory of where it has been). It uses no revision,
 * so that a server which numbers its changes in the wrong order is caught too.
 */
export const linearizableWithoutRevisions: Validator = (history) => {
  const violations: Violation[] = [];
  const repeated = repeats(history).calls;
  const [began] = history;
  const byName = new Map<string, Call[]>();
  for (const entry of history) {
    if (entry.type !== "call" || repeated.has(entry) || DENIED.has(entry.answer.code)) continue;
    byName.set(entry.name, [...(byName.get(entry.name) ?? []), entry]);
  }
  for (const [name, calls] of byName) {
    const first = (began?.type === "restored" && began.lines.get(name)?.at(-1)?.secret) || NEW_SECRET;
    const outcome = search(
      first,
      calls.sort((a, b) => a.start - b.start),
    );
    if (outcome === undefined) continue;
    violations.push({
      promise: "linearizable-without-revisions",
      at: outcome.at,
      text: `${name}: ${outcome.text}`,
    });
  }
  return violations;
};

function search(first: Secret, calls: readonly Call[]): { at: number; text: string } | undefined {
  const been = new Set<string>();
  let steps = 0;
  /** How far the best attempt came, for the report. */
  let best: { done: number; stuck: Call | undefined } = { done: -1, stuck: calls[0] };

  const visit = (secret: Secret, pending: readonly Call[]): boolean => {
    if (pending.length === 0) return true;
    if (++steps > MAX_STEPS) return false;
    const key = `${pending.map(({ start }) => start).join()} ${digest(secret)}`;
    if (been.has(key)) return false;
    been.add(key);
    const firstEnd = Math.min(...pending.map(({ end }) => end));
    const done = calls.length - pending.length;
    if (done > best.done) best = { done, stuck: pending.find(({ end }) => end === firstEnd) };
    for (const call of pending) {
      // Only what began before any pending call had ended can be next.
      if (call.start > firstEnd) break;
      const next = apply(secret, call);
      if (
        next !== undefined &&
        visit(
          next,
          pending.filter((other) => other !== call),
        )
      )
        return true;
    }
    return false;
  };

  if (visit(first, calls)) return undefined;
  const { stuck } = best;
  const why =
    steps > MAX_STEPS
      ? "the search gave up"
      : `no order explains ${show(stuck?.op)} = ${show(stuck?.answer)}`;
  return { at: stuck?.end ?? 0, text: `${why} (${best.done} of ${calls.length} calls in order)` };
}

/** The secret after `call`, or undefined when the model would have answered otherwise. */
function apply(secret: Secret, { op, answer }: Call): Secret | undefined {
  let asked: Op = op;
  if (op.op === "put" && op.expected !== undefined) {
    // Whether it was the right one is for the check that knows revisions.
    if (answer.code === "ABORTED") return secret;
    const { expected: _, ...rest } = op;
    asked = rest;
  }
  const next = step(secret, asked, secret.revision + 1n);
  return agrees(withoutRevisions(answer), withoutRevisions(next.answer)) ? next.secret : undefined;
}

function withoutRevisions(answer: Answer): Answer {
  return Object.fromEntries(Object.entries(answer).filter(([key]) => !/evisions?$/.test(key))) as Answer;
}

function digest({ exists, comment, slots }: Secret): string {
  const parts = [...slots].map(([number, { state, value }]) => `${number}${state[0]}${value}`).sort();
  return `${exists} ${comment} ${parts.join()}`;
}
