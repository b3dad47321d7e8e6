import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../../../..");
/** What tends to matter in any text. */
const COMMON = [
  ..."\0\n\r\t \"'#&*-/:=<[]{}!|>%@,.?",
  "\r\n",
  "\u00e9",
  "\ud800",
  "\u2028",
  "constructor",
  "__proto__",
];

/** The texts that stand in a module's source: what a parser compares with is written there. */
export function wordsOf(modules: readonly string[]): readonly Buffer[] {
  const words = new Set<string>(COMMON);
  for (const module of modules) {
    const source = readFileSync(join(ROOT, module), "utf8");
    for (const [, text = ""] of source.matchAll(/"((?:[^"\\\n]|\\.){1,40})"/g)) words.add(text);
    // Names of fields, without quotes.
    for (const [, name = ""] of source.matchAll(/^\s*"?([a-zA-Z-]{2,30})"?\??:/gm)) words.add(name);
  }
  return [...words].map((word) => Buffer.from(word));
}
