import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type Manifest, titleOf } from "./manifest.ts";

export type Answer = {
  readonly id: number;
  readonly ok: boolean;
  readonly error?: { code: string; reason: string; message: string; metadata?: Record<string, string> };
  readonly [member: string]: unknown;
};

const STDERR_KEPT = 4000;

/** A driver that runs; see PROTOCOL.md. */
export class DriverProcess {
  readonly title: string;
  readonly stubs: boolean;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, (answer: Answer | Error) => void>();
  readonly #verbose: boolean;
  #nextId = 1;
  #stderr = "";
  #ended: Error | undefined;

  constructor(manifest: Manifest, verbose: boolean) {
    this.title = titleOf(manifest);
    this.stubs = manifest.stubs;
    this.#verbose = verbose;
    const [program, ...args] = manifest.run;
    this.#child = spawn(program!, args, { cwd: manifest.folder, stdio: "pipe" });
    this.#child.stderr.on("data", (chunk) => {
      this.#stderr = (this.#stderr + chunk).slice(-STDERR_KEPT);
    });
    this.#child.stdin.on("error", () => {});
    this.#child.once("error", (error) => this.#end(error));
    this.#child.once("close", (code, signal) => this.#end(new Error(`the driver ended: ${signal ?? code}`)));
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#line(line));
  }

  /** The last of what the driver wrote to standard error. */
  get stderr(): string {
    return this.#stderr;
  }

  ask(op: string, members: object, boundMs: number): Promise<Answer> {
    const id = this.#nextId++;
    const line = JSON.stringify({ id, op, ...members });
    if (this.#verbose)
      process.stderr.write(`${this.title} < ${line.replace(/"token":"[^"]*"/, '"token":"..."')}\n`);
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${op}: no answer within ${boundMs} ms`));
      }, boundMs);
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      });
      this.#child.stdin.write(`${line}\n`);
    });
  }

  /** Ends it by the end of its input, and by force when that does not help. */
  async close(): Promise<void> {
    if (this.#ended) return;
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await closed;
    clearTimeout(timer);
  }

  #line(line: string): void {
    if (this.#verbose) process.stderr.write(`${this.title} > ${line}\n`);
    let answer: Answer;
    try {
      answer = JSON.parse(line);
    } catch {
      this.#end(new Error(`the driver wrote no JSON: ${line.slice(0, 200)}`));
      return;
    }
    this.#waiting.get(answer.id)?.(answer);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const settle of [...this.#waiting.values()]) settle(this.#ended);
  }
}
