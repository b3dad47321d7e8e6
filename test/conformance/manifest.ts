import { spawn } from "node:child_process";
import { access, readdir, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";

export const REPOSITORY = join(import.meta.dirname, "../..");

/** How to build and start a driver; `driver.json` or `stubs-driver.json` of a client. */
export type Manifest = {
  readonly lang: string;
  /** A stubs driver runs only the cases marked so. */
  readonly stubs: boolean;
  readonly folder: string;
  readonly needs: readonly string[];
  readonly build: readonly (readonly string[])[];
  readonly run: readonly string[];
};

/** The name of a driver in tables and on the command line. */
export function titleOf({ lang, stubs }: Manifest): string {
  return stubs ? `${lang}-stubs` : lang;
}

/** Every driver in the repository, by name. */
export async function findManifests(): Promise<Manifest[]> {
  const clients = join(REPOSITORY, "clients");
  const manifests: Manifest[] = [];
  for (const entry of (await readdir(clients)).sort()) {
    for (const stubs of [false, true]) {
      const folder = join(clients, entry);
      const file = join(folder, stubs ? "stubs-driver.json" : "driver.json");
      const text = await readFile(file, "utf8").catch(() => undefined);
      if (text === undefined) continue;
      const { lang, needs = [], build = [], run } = JSON.parse(text);
      const commands = typeof build[0] === "string" ? [build] : build;
      manifests.push({ lang, stubs, folder, needs, build: commands, run });
    }
  }
  return manifests;
}

/** The programs that a manifest needs and this machine does not have. */
export async function missingTools({ needs }: Manifest): Promise<string[]> {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const missing: string[] = [];
  for (const tool of needs) {
    const found = await Promise.all(
      folders.map((folder) =>
        access(join(folder, tool)).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (!found.includes(true)) missing.push(tool);
  }
  return missing;
}

/** Runs the build commands; throws with their output when one fails. */
export async function build({ build: commands, folder }: Manifest): Promise<void> {
  for (const [program, ...args] of commands) {
    const child = spawn(program!, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (code !== 0)
      throw new Error(`${[program, ...args].join(" ")} ended with ${code}\n${output.slice(-4000)}`);
  }
}
