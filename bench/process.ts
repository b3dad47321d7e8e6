import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** A program under measurement that says `listening on ADDRESS` when it is ready. */
export interface Program {
  readonly address: string;
  readonly child: ChildProcess;
  /** Processor time used so far, milliseconds. */
  cpu(): number;
  /** Resident memory, bytes. */
  memory(): number;
  stop(): Promise<void>;
}

/** Resident memory of a process, bytes. */
export function memoryOf(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** Processor time that a process has used so far, all its threads together, milliseconds. */
export function cpuOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  // utime and stime, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

export async function start(
  command: string,
  args: readonly string[],
  ready = /listening on (\S+)/,
): Promise<Program> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    let output = "";
    const look = (chunk: Buffer) => {
      output += chunk.toString();
      const match = ready.exec(output);
      if (match !== null) resolve(match[1] ?? "");
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    void ended.then(() => reject(new Error(`${command} ended before it was ready:\n${output}`)));
  });
  return {
    address,
    child,
    cpu: () => cpuOf(child.pid),
    memory: () => memoryOf(child.pid),
    stop: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}
