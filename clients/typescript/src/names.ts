import { invalidArgument } from "./errors.ts";

const MAX_NAMES = 1000;
const NAME = /^(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*$/;

/** The names of a set: 1 to 1,000 well-formed ones, repeats dropped, in the order given. */
export function checkedNames(names: readonly string[]): readonly string[] {
  for (const name of names) {
    if (name.length > 255 || !NAME.test(name)) throw invalidArgument(`"${name}" is no secret name`);
  }
  const distinct = [...new Set(names)];
  if (distinct.length === 0) throw invalidArgument("open needs at least one name");
  if (distinct.length > MAX_NAMES) {
    throw invalidArgument(`open takes at most ${MAX_NAMES} names, not ${distinct.length}`);
  }
  return distinct;
}
