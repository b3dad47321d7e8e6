import { createRequire, registerHooks } from "node:module";
import type { open } from "../../../../clients/typescript/src/index.ts";
import { editedSources } from "../../support/edited-sources.ts";
import { type Bug, CLIENT } from "./bugs.ts";

type Import = { readonly load: (url: string) => Promise<{ readonly open: typeof open }> };

const SOURCE = new URL(`../../../../src/${CLIENT}`, import.meta.url).href;

/** How a client of ours that has a bug is opened. Other clients of this process know nothing of it. */
export async function openWith(bug: Bug): Promise<typeof open> {
  const edited = editedSources(bug.name, bug.edits);
  // Makes modules of their own of all that belongs to the client.
  const mark = `?bug=${encodeURIComponent(bug.name)}`;
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context);
      const own = context.parentURL?.endsWith(mark) === true && found.url.startsWith(SOURCE);
      return own ? { ...found, url: `${found.url}${mark}` } : found;
    },
    load(url, context, next) {
      const loaded = next(url, context);
      const text = url.endsWith(mark) ? edited.get(url.slice(0, -mark.length)) : undefined;
      return text === undefined ? loaded : { ...loaded, source: text };
    },
  });
  try {
    // Only what Node itself loads comes by its hooks; the tests' own loader does not.
    const { load } = createRequire(import.meta.url)("./native-import.ts") as Import;
    return (await load(`${SOURCE}index.ts${mark}`)).open;
  } finally {
    hooks.deregister();
  }
}
