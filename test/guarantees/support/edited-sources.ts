import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

/** What is written where, and what it is replaced with. */
export interface SourceEdit {
  /** Below `src/`. */
  readonly file: string;
  /** Must stand there exactly once. */
  readonly find: string;
  readonly replace: string;
}

const SOURCE = new URL("../../../src/", import.meta.url);

/** The sources with their edits, by URL. Throws where the text of one does not stand exactly once. */
export function editedSources(what: string, edits: readonly SourceEdit[]): ReadonlyMap<string, string> {
  const edited = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const { href } = new URL(file, SOURCE);
    const text = edited.get(href) ?? readFileSync(new URL(href), "utf8");
    const [before, after, ...more] = text.split(find);
    if (before === undefined || after === undefined || more.length > 0) {
      throw new Error(`'${what}': its text stands ${text.split(find).length - 1} times in ${file}, not once`);
    }
    edited.set(href, before + replace + after);
  }
  return edited;
}

/**
 * Changes sources as this process loads them. What is on disk, and with it what is published, knows nothing of it. An
 * edit whose text is no longer there throws, so that nothing is ever tried in vain. `what`: named in the error.
 */
export function editSources(what: string, edits: readonly SourceEdit[]): void {
  const edited = editedSources(what, edits);
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      const text = edited.get(url);
      return text === undefined ? loaded : { ...loaded, source: text };
    },
  });
}
