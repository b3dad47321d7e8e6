import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TlsInitFiles, tlsInit } from "../../src/cli/tls-init.ts";
import { REPOSITORY } from "./manifest.ts";

const READY_BOUND_MS = 60_000;
/** Small, so that many servers start fast. */
const AUDIT_RESERVE_BYTES = 1024 * 1024;

/** Who the client certificate of a server with TLS stands for. */
export const CLIENT_IDENTITY = "spiffe://conformance/client";

/**
 * A free port below those that the system gives to outgoing connections: while the server is down, nobody else gets
 * it by chance, nor does a client that tries to connect to it end up connected to itself.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => resolve(true));
    });
    await new Promise((resolve) => probe.close(resolve));
    if (free) return port;
  }
}

/** A real server in its own data directory, which can be killed and started again on the same port. */
export class ServerProcess {
  readonly folder: string;
  #child: ChildProcess | undefined;
  #port = 0;
  #tls: TlsInitFiles | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start({ tls = false } = {}): Promise<ServerProcess> {
    const server = new ServerProcess(await mkdtemp(join(tmpdir(), "slots-conformance-")));
    if (tls) await server.renewCertificates();
    server.#port = await freePort();
    await server.start();
    return server;
  }

  /** The files of a server with TLS; their paths stay, their content may be renewed. */
  get tls(): TlsInitFiles | undefined {
    return this.#tls;
  }

  /** A new authority, and certificates by it, in the place of the old ones. */
  async renewCertificates(): Promise<void> {
    const dir = join(this.folder, "tls");
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir);
    this.#tls = await tlsInit({ dir, client: CLIENT_IDENTITY });
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get dataDir(): string {
    return join(this.folder, "data");
  }

  adminToken(): Promise<string> {
    return readFile(join(this.dataDir, "admin.token"), "utf8").then((text) => text.trim());
  }

  /** Resolves when the server says that it listens. */
  async start(...flags: string[]): Promise<void> {
    const args = ["serve", "--data-dir", this.dataDir, "--listen", this.address, ...flags];
    args.push("--audit-reserve-bytes", String(AUDIT_RESERVE_BYTES));
    if (this.#tls !== undefined) {
      const { serverCert, serverKey, caCert } = this.#tls;
      args.push("--tls-cert", serverCert, "--tls-key", serverKey, "--tls-client-ca", caCert);
    }
    const child = spawn(process.execPath, [join(REPOSITORY, "bin/slots.js"), ...args], {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    let output = "";
    child.stderr.on("data", (chunk) => {
      output = (output + chunk).slice(-4000);
    });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => fail("is not ready in time"), READY_BOUND_MS);
      const fail = (what: string): void => {
        clearTimeout(timer);
        reject(new Error(`the server ${what}\n${output}`));
      };
      child.once("error", (error) => fail(error.message));
      child.once("close", (code, signal) => fail(`ended: ${signal ?? code}`));
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (!line.startsWith("listening on ")) return;
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Ends the process and waits until it is gone. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once("close", resolve));
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    child.kill(signal);
    await closed;
    clearTimeout(timer);
  }

  async dispose(): Promise<void> {
    await this.end("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }
}
