import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Makes `dist/`, the package that is published: plain JavaScript with its declarations, and a manifest without
 * what only work on the source needs. The Node binaries of the source tree are among that.
 */
const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
execFileSync(join(root, "node_modules/.bin/tsc"), ["--project", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
for (const kept of ["bin", "proto", "README.md", "CHANGELOG.md", "LICENSE"]) {
  cpSync(join(root, kept), join(dist, kept), { recursive: true });
}
const {
  private: _,
  scripts: __,
  devDependencies: ___,
  optionalDependencies: ____,
  ...manifest
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const published = { ...manifest, engines: { node: ">=22.15" } };
writeFileSync(join(dist, "package.json"), `${JSON.stringify(published, null, 2)}\n`);
