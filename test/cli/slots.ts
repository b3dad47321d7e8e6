import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NODE, type ServerProcess, SLOTS } from "../support/server-process.ts";

/** Each step of these tests is a process of its own, and the machine may be busy with others. */
export const PATIENT = { timeout: 240_000 };

/** Shared by all runs: most of a short run's time would be spent on compiling the same source again. */
const COMPILE_CACHE = join(tmpdir(), "slots-test-compile-cache");

/** What a run of `slots` printed and ended with. */
export interface Ran {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Standard output as text. */
  readonly text: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A run of `slots` that goes on. */
export interface Running {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<Ran>;
}

/** The real command line, as a process of its own, in an empty folder unless told otherwise. */
export class Slots {
  readonly folder: string = mkdtempSync(join(tmpdir(), "slots-cli-"));
  readonly #env: Readonly<Record<string, string>>;
  readonly #running = new Set<ChildProcess>();

  /** Talks to the server as its admin; without one, to nobody. */
  constructor(server?: Pick<ServerProcess, "address" | "dataDir">) {
    this.#env =
      server === undefined
        ? {}
        : { SLOTS_ADDRESS: server.address, SLOTS_TOKEN_FILE: join(server.dataDir, "admin.token") };
  }

  start(args: readonly string[], options: RunOptions = {}): Running {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^SLOTS_|^(NO|FORCE)_COLOR$/.test(name),
    );
    const child = spawn(NODE, [SLOTS, ...args], {
      cwd: options.cwd ?? this.folder,
      env: {
        ...Object.fromEntries(inherited),
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        ...this.#env,
        ...options.env,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#running.add(child);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    const stdout = () => Buffer.concat(out).toString();
    const stderr = () => Buffer.concat(err).toString();
    const ended = new Promise<Ran>((resolve) => {
      child.once("close", (status, signal) => {
        this.#running.delete(child);
        resolve({ status, signal, stdout: Buffer.concat(out), stderr: stderr(), text: stdout() });
      });
    });
    return { child, stdout, stderr, ended };
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.start(args, options).ended;
  }

  /** A run that must work; what it printed. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { status, signal, stderr, text } = await this.run(args, options);
    if (status !== 0) throw new Error(`slots ${args.join(" ")} ended with ${status ?? signal}: ${stderr}`);
    return text;
  }

  /** The document that a run printed. */
  async json(args: readonly string[], options: RunOptions = {}): Promise<Record<string, unknown>> {
    return JSON.parse(await this.ok([...args, "--output", "json"], options));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Kills what still runs and removes the folder. */
  dispose(): void {
    for (const child of this.#running) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
