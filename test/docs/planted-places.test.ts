import { expect, test } from "vitest";
import { BUGS } from "../guarantees/model/bugs/bugs.ts";
import { MIGRATION, MOMENTS } from "../guarantees/moments/moments.ts";
import { editedSources } from "../guarantees/support/edited-sources.ts";

/** Told here, in seconds: the runs that plant something take minutes. */
test.each([
  ...BUGS.map(({ name, edits }) => ({ what: `bug '${name}'`, edits })),
  ...MOMENTS.map(({ name, edit }) => ({ what: `moment '${name}'`, edits: [edit] })),
  { what: "a migration", edits: [MIGRATION] },
])("the sources have the place where the guarantees' tests plant $what", ({ what, edits }) => {
  expect(editedSources(what, edits).size).toBeGreaterThan(0);
});
