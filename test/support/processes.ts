import { readFileSync } from "node:fs";

/** The processes that it has started and that live. */
export function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

/** Process ids of a server and its workers. */
function treeOf(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** Bytes of memory that a server and its workers hold. */
export function memoryOf(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + residentBytes(each), 0);
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
}

/**
 * A stopwatch of the processor time that the main threads of a server and of its workers take: unlike the time that
 * passes, it does not grow with what else the machine does.
 */
export class BusyTime {
  readonly #pid: number;
  #before: ReadonlyMap<number, number>;

  constructor(pid: number) {
    this.#pid = pid;
    this.#before = busyOf(pid);
  }

  /** Milliseconds that the busiest of them took since it was asked last. */
  lap(): number {
    const [before, now] = [this.#before, busyOf(this.#pid)];
    this.#before = now;
    return Math.max(...[...now].map(([pid, ms]) => ms - (before.get(pid) ?? ms)));
  }
}

function busyOf(pid: number): ReadonlyMap<number, number> {
  const spent = (each: number) => Number(readFileSync(`/proc/${each}/schedstat`, "utf8").split(" ")[0]);
  return new Map(treeOf(pid).map((each) => [each, spent(each) / 1e6]));
}
