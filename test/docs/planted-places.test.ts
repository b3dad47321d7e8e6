import { expect, test } from "vitest";
import { BUGS } from "../guarantees/model/bugs/bugs.ts";
import { MIGRATION, MOMENTS } from "../guarantees/moments/moments.ts";
import { editedSources } from "../guarantees/support/edited-sources.ts";
import { PLANTED } from "../guarantees/support/planted-losses.ts";

/** Told here, in seconds: the runs that plant something take minutes. */
test.each([
  ...BUGS.map(({ name, edits }) => ({ what: `bug '${name}'`, edits })),
  ...MOMENTS.map(({ name, edit }) => ({ what: `moment '${name}'`, edits: [edit] })),
  ...Object.entries(PLANTED).map(([name, edits]) => ({ what: `loss '${name}'`, edits })),
  { what: "a migration", edits: [MIGRATION] },
])("the sources have the place where the guarantees' tests plant $what", ({ what, edits }) => {
  expect(editedSources(what, edits).size).toBeGreaterThan(0);
});
