import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A server of one example's own: a free port, a folder that is gone afterwards. Yours runs already. */
export interface LocalServer {
  readonly address: string;
  readonly tokenFile: string;
  stop(): Promise<void>;
}

export async function startLocalServer(): Promise<LocalServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "slots-example-"));
  const slots = join(import.meta.dirname, "../bin/slots.js");
  const flags = ["--data-dir", dataDir, "--listen", "127.0.0.1:0", "--audit-reserve-bytes", "0"];
  const server = spawn(process.execPath, [slots, "serve", ...flags, "--log-level", "error"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    let output = "";
    server.stdout.on("data", (chunk: Buffer) => {
      output += chunk;
      const [, found] = /^listening on (\S+)$/m.exec(output) ?? [];
      if (found !== undefined) resolve(found);
    });
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return {
    address,
    tokenFile: join(dataDir, "admin.token"),
    stop: async () => {
      server.kill("SIGTERM");
      await ended;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
