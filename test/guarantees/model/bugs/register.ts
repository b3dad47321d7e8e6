import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { BUGS } from "./bugs.ts";

/**
 * Preloaded into a test server (`node --import`), and into its threads: plants the bug that SLOTS_TEST_BUG names by
 * changing the sources as they load. What is on disk, and with it what is published, knows nothing of it. A bug whose
 * text is no longer there keeps the server from starting, so that none is ever looked for in vain.
 */
const name = process.env.SLOTS_TEST_BUG;
const bug = BUGS.find((each) => each.name === name);
if (bug === undefined) throw new Error(`SLOTS_TEST_BUG: there is no bug '${name}'`);

const source = new URL("../../../../src/", import.meta.url);
const patched = new Map<string, string>();
for (const { file, find, replace } of bug.edits) {
  const url = new URL(file, source);
  const text = patched.get(url.href) ?? readFileSync(url, "utf8");
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(
      `bug '${name}': its text stands ${text.split(find).length - 1} times in ${file}, not once`,
    );
  }
  patched.set(url.href, before + replace + after);
}

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    const text = patched.get(url);
    return text === undefined ? loaded : { ...loaded, source: text };
  },
});
