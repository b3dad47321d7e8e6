import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Packs what `npm run build` made, installs it in an empty folder, and uses it there: start, put, get. */
const root = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "slots-package-"));
const run = (command: string, args: readonly string[], input?: string): string =>
  execFileSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    input: input ?? "",
    stdio: ["pipe", "pipe", "inherit"],
  });

try {
  run("npm", ["pack", join(root, "dist"), "--silent"]);
  const [archive] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  if (archive === undefined) throw new Error("npm pack made no archive");
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  run("npm", ["install", "--no-audit", "--no-fund", `./${archive}`]);
  const installed = readdirSync(join(folder, "node_modules"));
  const binaries = installed.filter((name) => name.startsWith("node-linux-"));
  if (binaries.length > 0) throw new Error(`the package carries ${binaries.join(", ")}`);

  const slots = join(folder, "node_modules/.bin/slots");
  const server = spawn(slots, ["serve", "--listen", "127.0.0.1:0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => server.once("exit", resolve));
  try {
    const address = await new Promise<string>((resolve, reject) => {
      server.stdout.on("data", (chunk: Buffer) => {
        const match = /^listening on (\S+)$/m.exec(chunk.toString());
        if (match?.[1] !== undefined) resolve(match[1]);
      });
      void exited.then((code) => reject(new Error(`the server ended with ${code}`)));
    });
    run(slots, ["--address", address, "put", "app/db", "--slot", "0"], "from the package");
    const value = run(slots, ["--address", address, "get", "app/db"]);
    if (value !== "from the package") throw new Error("the value that was put did not come back");
    console.log(`package: ${archive} installs, starts, puts and gets (${installed.length} packages)`);
  } finally {
    server.kill("SIGTERM");
    await exited;
  }
  readFileSync(join(folder, "data/store.db"));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
