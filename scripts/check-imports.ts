import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/**
 * Which parts of the house may use which; imports run one way. A part is a folder below `src`, or a package beside
 * it; files of `src` itself put parts together and may use all of them.
 */
const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  "src/domain": [],
  "src/disk": [],
  "src/storage": ["src/domain", "src/disk"],
  "src/crypto": ["src/domain", "src/disk"],
  "src/audit": ["src/domain", "src/disk"],
  "src/core": ["src/domain", "src/storage", "src/crypto", "src/audit"],
  "src/server": ["src/domain", "src/storage", "src/crypto", "src/audit", "src/core", "gen/ts"],
  "src/offline": ["src/domain", "src/disk", "src/storage", "src/crypto", "src/audit", "src/core"],
  "src/cli": [
    "clients/typescript",
    "gen/ts",
    "src/disk",
    "src/offline",
    "src/serve.ts",
    "src/workers.ts",
    "src/settings.ts",
    "src/log.ts",
    "src/version.ts",
  ],
  "clients/typescript": ["gen/ts"],
  "gen/ts": [],
};
/** The pure part: no Node, no gRPC, no database, nothing generated. */
const PURE = "src/domain";

const root = join(import.meta.dirname, "..");
const parts = Object.keys(MAY_USE);
const faults: string[] = [];
let checked = 0;

for (const part of parts) {
  const pattern = part === "clients/typescript" ? `${part}/src/**/*.ts` : `${part}/**/*.ts`;
  for (const file of globSync(pattern, {
    cwd: root,
    exclude: (name) => name === "node_modules" || name === "dist",
  })) {
    checked += 1;
    const text = readFileSync(join(root, file), "utf8");
    for (const [, target] of text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
      if (target === undefined) continue;
      if (!target.startsWith(".")) {
        if (part === PURE) faults.push(`${file}: the domain is pure and must not use '${target}'`);
        continue;
      }
      const used = relative(root, join(root, dirname(file), target));
      const allowed = [part, ...(MAY_USE[part] ?? [])].some(
        (each) => used === each || used.startsWith(`${each}/`),
      );
      if (!allowed) faults.push(`${file}: ${part} must not use ${used}`);
    }
  }
}

for (const fault of faults) console.error(fault);
console.log(`imports: ${checked} files checked, ${faults.length} run the wrong way`);
process.exit(faults.length === 0 ? 0 : 1);
