#!/usr/bin/env -S node --max-semi-space-size=32 --heap-growing-percent=40
// The settings above hold a server's memory to what it keeps: V8 alone would let half as much again lie about.
// Plain JavaScript that any Node can read: it says what is wrong before anything newer, or anything native, is loaded.
import { existsSync } from "node:fs";
import module from "node:module";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
// From source, types are stripped by Node itself; what is published is plain JavaScript.
const source = new URL("../src/main.ts", import.meta.url);
const fromSource = existsSync(source);
const [needsMajor, needsMinor] = fromSource ? [24, 0] : [22, 15];

if (major < needsMajor || (major === needsMajor && minor < needsMinor)) {
  console.error(
    `slots: needs Node ${needsMajor}.${needsMinor} or later, and this is ${process.version}. ` +
      (fromSource
        ? "On Linux run 'npm ci', then 'npm start' or 'npx slots': they use the Node in node_modules/.bin. Elsewhere install Node 24."
        : "Install a newer Node."),
  );
  process.exit(1);
}

if (fromSource && process.env.NODE_COMPILE_CACHE === undefined) {
  // What was stripped and compiled is kept beside the modules, where whoever could change it could change them too.
  const cache = fileURLToPath(new URL("../node_modules/.cache/slots", import.meta.url));
  module.enableCompileCache(cache);
  // Threads and workers look for it in the environment; other commands may hand that on to programs that aren't ours.
  if (process.argv[2] === "serve") process.env.NODE_COMPILE_CACHE = cache;
}

await import(fromSource ? source.href : new URL("../src/main.js", import.meta.url).href);
