import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { memoryOf } from "../test/support/processes.ts";
import { NODE, NODE_SETTINGS } from "../test/support/server-process.ts";

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

/** Makes `peakMemoryOf` begin anew. */
export function forgetPeakOf(pid: number | undefined): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** The most resident memory of a process since its start, or since `forgetPeakOf`, bytes. */
export function peakMemoryOf(pid: number | undefined): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** Memory of a process with its share of what others hold, too (PSS): those of several add up. Bytes. */
export function shareOfMemoryOf(pid: number | undefined): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]) * 1024;
}

/** Processor time that a process has used so far, all its threads together, milliseconds. */
export function cpuOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  // utime and stime, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Processor time so far by the names of a process's threads, milliseconds. */
export function threadsOf(pid: number | undefined): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    const name = readFileSync(`${folder}/comm`, "utf8").trim();
    const fields = readFileSync(`${folder}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    times.set(name, (times.get(name) ?? 0) + (Number(fields[11]) + Number(fields[12])) * 10);
  }
  return times;
}

/** A baseline of ours: the same Node with the same settings as the server that it is compared with. */
export function startNode(...args: readonly string[]): Promise<Program> {
  return start(NODE, [...NODE_SETTINGS, ...args]);
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
    memory: () => memoryOf(child.pid ?? 0),
    stop: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}
