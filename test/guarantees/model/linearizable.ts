import { agrees, show } from "./answers.ts";
import type { Call, Validator, Violation } from "./history.ts";
import { step } from "./model.ts";
import { seenBy, timelines, window } from "./timeline.ts";

/**
 * Linearizable, with the order that revisions give: the changes one after the other answer as the model does, and
 * each other call answers as it would at one moment between its start and its end, none earlier than what anyone had
 * seen when it began (W10).
 */
export const linearizable: Validator = (history) => {
  const { byName, rest, violations: found } = timelines(history);
  const violations: Violation[] = [...found];
  const wrong = (call: Call, text: string) =>
    violations.push({ promise: "linearizable", at: call.end, text });
  const seen = seenBy(history);

  for (const [name, line] of byName) {
    for (const [index, { call, revision }] of line.entries()) {
      const before = line[index - 1]?.secret;
      if (call === undefined || before === undefined) continue;
      const expected = step(before, call.op, revision).answer;
      if (!agrees(call.answer, expected)) {
        wrong(
          call,
          `${show(call.op)} of ${name} at ${revision}: expected ${show(expected)}, was ${show(call.answer)}`,
        );
      }
      // A commit has its moment within its call: it was not seen before, and its revision is newer than all seen.
      if (seen(call.start) >= revision) {
        wrong(
          call,
          `${show(call.op)} of ${name} took revision ${revision}, and ${seen(call.start)} was seen before`,
        );
      }
    }
  }

  const calls = [...rest].sort((a, b) => a.end - b.end);
  /** Where in its timeline each call may have been at the earliest, so that later ones are not before it. */
  const placed: { name: string; end: number; index: number }[] = [];
  for (const call of calls) {
    const line = byName.get(call.name) ?? [];
    const range = window(line, seen(call.start), call.end);
    let from = range.from;
    for (const { name, end, index } of placed) {
      if (name === call.name && end < call.start && index > from) from = index;
    }
    let index = from;
    while (index <= range.to && !answersAt(call, line[index])) index++;
    if (index > range.to) {
      const states = line.slice(from, range.to + 1).map(({ secret }) => step(secret, call.op, -1n).answer);
      wrong(call, `${show(call.op)} of ${call.name}: none of ${show(states)}, but ${show(call.answer)}`);
    } else {
      placed.push({ name: call.name, end: call.end, index });
    }
  }
  return violations;
};

function answersAt(call: Call, state: { readonly secret: Parameters<typeof step>[0] } | undefined): boolean {
  if (state === undefined) return false;
  const { answer, changed } = step(state.secret, call.op, -1n);
  return !changed && agrees(call.answer, answer);
}
