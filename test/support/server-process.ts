import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
export const NODE = join(ROOT, "node_modules/.bin/node");
export const SLOTS = join(ROOT, "bin/slots.js");
/** With which the program asks to be run, in its first line. */
export const NODE_SETTINGS = (
  /^#!\/usr\/bin\/env -S node (.*)$/m.exec(readFileSync(SLOTS, "utf8"))?.[1] ?? ""
).split(" ");

export interface ServerOptions {
  /** Default: a new one, removed by `dispose`. */
  readonly dataDir?: string;
  readonly listen?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Command that runs the server's own, such as `strace`. */
  readonly under?: readonly string[];
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A real server process over a real store. */
export class ServerProcess {
  readonly dataDir: string;
  readonly address: string;
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  readonly #output: { text: string };

  private constructor(
    dataDir: string,
    address: string,
    child: ChildProcess,
    exited: Promise<Exit>,
    output: { text: string },
  ) {
    this.dataDir = dataDir;
    this.address = address;
    this.child = child;
    this.exited = exited;
    this.#output = output;
  }

  /** Resolves once it is ready; rejects, with what it printed, when it ends before that. */
  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "slots-test-"));
    const { child, exited, output } = launch(dataDir, options);
    const ready = new Promise<string>((resolve, reject) => {
      const look = () => {
        const match = /^listening on (\S+)$/m.exec(output.text);
        if (match?.[1] !== undefined) resolve(match[1]);
      };
      child.stdout?.on("data", look);
      void exited.then(({ code, signal }) => {
        reject(new Error(`the server ended with ${code ?? signal} before it was ready:\n${output.text}`));
      });
    });
    return new ServerProcess(dataDir, await ready, child, exited, output);
  }

  /** Runs a server that is expected not to start. */
  static async startFailing(options: ServerOptions = {}): Promise<Exit & { readonly output: string }> {
    const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "slots-test-"));
    const { child, exited, output } = launch(dataDir, options);
    const timer = setTimeout(() => child.kill("SIGKILL"), 45_000);
    const exit = await exited;
    clearTimeout(timer);
    return { ...exit, output: output.text };
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error("the server's process did not start");
    return this.child.pid;
  }

  /** All it printed so far. */
  get output(): string {
    return this.#output.text;
  }

  get adminToken(): string {
    return readFileSync(join(this.dataDir, "admin.token"), "utf8").trim();
  }

  kill(): Promise<Exit> {
    this.child.kill("SIGKILL");
    return this.exited;
  }

  stop(): Promise<Exit> {
    this.child.kill("SIGTERM");
    return this.exited;
  }

  /** Kills it, if it lives, and removes the store. */
  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** A test file that ends early must not leave servers behind. */
const living = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

function launch(dataDir: string, { listen, args = [], env = {}, under = [] }: ServerOptions) {
  const command = [
    ...under,
    NODE,
    ...NODE_SETTINGS,
    SLOTS,
    "serve",
    "--data-dir",
    dataDir,
    "--listen",
    listen ?? "127.0.0.1:0",
    // A small reserve: each test makes its own, and the default would write 64 MiB each time.
    ...(args.includes("--audit-reserve-bytes") ? [] : ["--audit-reserve-bytes", "1048576"]),
    ...args,
  ];
  const child = spawn(command[0] ?? NODE, command.slice(1), {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  living.add(child);
  child.once("exit", () => living.delete(child));
  const output = { text: "" };
  const collect = (chunk: Buffer) => {
    output.text += chunk.toString();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", () => resolve({ code: 127, signal: null }));
  });
  return { child, exited, output };
}
