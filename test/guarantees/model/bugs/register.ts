import { editSources } from "../../support/edited-sources.ts";
import { BUGS } from "./bugs.ts";

/**
 * Preloaded into a test server (`node --import`), and into its threads: plants the bug that SLOTS_TEST_BUG names by
 * changing the sources as they load. What is on disk, and with it what is published, knows nothing of it. A bug whose
 * text is no longer there keeps the server from starting, so that none is ever looked for in vain.
 */
const name = process.env.SLOTS_TEST_BUG;
const bug = BUGS.find((each) => each.name === name);
if (bug === undefined) throw new Error(`SLOTS_TEST_BUG: there is no bug '${name}'`);

editSources(bug.name, bug.edits);
