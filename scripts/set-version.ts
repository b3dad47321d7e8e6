import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Keeps the version of every package in step: `set-version.ts 1.2.3` writes it everywhere, `--check` compares. One
 * place decides: the root manifest.
 */
const root = join(import.meta.dirname, "..");
const [wanted] = process.argv.slice(2);

/** A file, and where the version stands in it. */
const PLACES: readonly (readonly [file: string, pattern: RegExp])[] = [
  ["package.json", /("version": ")([^"]+)(")/],
  ["package-lock.json", /(\{\n {2}"name": "secretslots",\n {2}"version": ")([^"]+)(")/],
  ["package-lock.json", /("": \{\n {6}"name": "secretslots",\n {6}"version": ")([^"]+)(")/],
  ["src/version.ts", /(VERSION = ")([^"]+)(")/],
  ["gen/ts/package.json", /("version": ")([^"]+)(")/],
  ["clients/typescript/package.json", /("version": ")([^"]+)(")/],
  ["clients/typescript/src/version.ts", /(VERSION = ")([^"]+)(")/],
  ["clients/go/version.go", /(ClientVersion = ")([^"]+)(")/],
  ["clients/go/go.mod", /(secretslots\/gen\/go v)([0-9.]+)(\s)/],
  ["gen/python/pyproject.toml", /(\nversion = ")([^"]+)(")/],
  ["clients/python/pyproject.toml", /(secretslots-stubs==)([0-9.]+)(")/],
  ["clients/python/src/secretslots/_version_number.py", /(VERSION = ")([^"]+)(")/],
  ["gen/rust/Cargo.toml", /(\nversion = ")([^"]+)(")/],
  ["clients/rust/Cargo.toml", /(\nversion = ")([^"]+)(")/],
  ["clients/rust/Cargo.toml", /(secretslots-stubs = \{ version = ")([^"]+)(")/],
  ["gen/java/pom.xml", /(<version>)([^<]+)(<\/version>)/],
  ["clients/java/pom.xml", /(<version>)([^<]+)(<\/version>)/],
  ["clients/java/client/pom.xml", /(<version>)([^<]+)(<\/version>)/],
  ["clients/java/driver/pom.xml", /(<version>)([^<]+)(<\/version>)/],
  ["clients/java/examples/pom.xml", /(<version>)([^<]+)(<\/version>)/],
  ["clients/java/stubs-driver/pom.xml", /(<version>)([^<]+)(<\/version>)/],
];

const current = /"version": "([^"]+)"/.exec(readFileSync(join(root, "package.json"), "utf8"))?.[1] ?? "";
const target = wanted === "--check" || wanted === undefined ? current : wanted;
if (!/^\d+\.\d+\.\d+$/.test(target)) {
  console.error("usage: set-version.ts X.Y.Z | --check");
  process.exit(2);
}

let wrong = 0;
for (const [file, pattern] of PLACES) {
  const path = join(root, file);
  if (!existsSync(path)) {
    console.error(`${file} is missing`);
    wrong += 1;
    continue;
  }
  const text = readFileSync(path, "utf8");
  const found = pattern.exec(text);
  if (found === null) {
    console.error(`${file}: no version where one is expected`);
    wrong += 1;
  } else if (found[2] !== target) {
    if (target === current) {
      console.error(`${file}: ${found[2]}, not ${target}`);
      wrong += 1;
    } else {
      writeFileSync(path, text.replace(pattern, `$1${target}$3`));
    }
  }
}
console.log(`versions: ${PLACES.length} places, ${wrong} out of step with ${target}`);
process.exit(wrong === 0 ? 0 : 1);
