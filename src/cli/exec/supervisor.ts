import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";

/** What the command is started with, asked for at each start. */
export type Environment = () => NodeJS.ProcessEnv;

/** Passed on to the command; those that ask it to end also end the restarting. */
const PASSED_ON = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
const ENDING: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGQUIT"];
/** A terminal sends these to the command by itself: it is in the same process group. */
const FROM_TERMINAL: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

const NOT_FOUND_STATUS = 127;
const NOT_STARTED_STATUS = 126;

/** Runs one command, again when it is asked to, and ends with its status. */
export class Supervisor {
  readonly #command: readonly [string, ...string[]];
  readonly #graceMs: number;
  readonly #note: (text: string) => void;
  #child: ChildProcess | undefined;
  #restarting = false;
  #ending = false;

  constructor(command: readonly [string, ...string[]], graceMs: number, note: (text: string) => void) {
    this.#command = command;
    this.#graceMs = graceMs;
    this.#note = note;
  }

  /** Resolves with the status of the command once it ended and was not to be started again. */
  async run(environment: Environment): Promise<number> {
    const handlers = PASSED_ON.map((signal) => [signal, () => this.#pass(signal)] as const);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    try {
      for (;;) {
        const status = await this.#once(environment());
        if (!this.#restarting || this.#ending) return status;
        this.#restarting = false;
      }
    } finally {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    }
  }

  /** Ends the command, by force after the grace, and starts it anew. Nothing when that is under way. */
  restart(): void {
    const child = this.#child;
    if (child === undefined || this.#restarting || this.#ending) return;
    this.#restarting = true;
    child.kill("SIGTERM");
    const timer = setTimeout(() => {
      this.#note(`the command did not end within ${this.#graceMs / 1000} s of SIGTERM; it is killed`);
      child.kill("SIGKILL");
    }, this.#graceMs);
    child.once("exit", () => clearTimeout(timer));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  #pass(signal: NodeJS.Signals): void {
    if (ENDING.includes(signal)) this.#ending = true;
    if (process.stdin.isTTY && FROM_TERMINAL.includes(signal)) return;
    this.#child?.kill(signal);
  }

  #once(environment: NodeJS.ProcessEnv): Promise<number> {
    const [file, ...args] = this.#command;
    return new Promise((resolve) => {
      const child = spawn(file, args, { stdio: "inherit", env: environment });
      this.#child = child;
      const ended = (status: number) => {
        this.#child = undefined;
        resolve(status);
      };
      child.once("exit", (code, signal) => ended(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
      child.once("error", (error: NodeJS.ErrnoException) => {
        // Also emitted when a signal could not be sent: then the command is still there.
        if (child.pid !== undefined) return;
        const missing = error.code === "ENOENT";
        this.#note(missing ? `there is no command '${file}'` : `can't start '${file}': ${error.message}`);
        this.#ending = true;
        ended(missing ? NOT_FOUND_STATUS : NOT_STARTED_STATUS);
      });
    });
  }
}
