import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { beatSteadily, type Late, machineMs } from "./heartbeat.ts";

const PRELOAD = new URL("./preload.ts", import.meta.url).href;
/** What is kept of this process's own late beats. */
const KEPT = 10_000;
const PROBE_MS = 100;
const BEATS_WAIT_MS = 5_000;

/** This process and the disk below it beat once, for all that runs in it. */
const here: Late[] = [];
const note = (late: Late) => {
  if (here.push(late) > KEPT) here.splice(0, KEPT / 2);
};
beatSteadily((_, late) => late && note(late));

/** The machine as a world's servers have it: a clock that can be set, and how late they ran. */
export class Machine {
  readonly #directory: string;
  readonly #clock: number;
  #offset = 0;
  #probing = true;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory);
    this.#clock = openSync(join(directory, "clock"), "w");
    this.setClock(0);
    void this.#probe();
  }

  /** For the environment of a server. */
  get env(): { readonly SLOTS_TEST_MACHINE: string; readonly NODE_OPTIONS: string } {
    return { SLOTS_TEST_MACHINE: this.#directory, NODE_OPTIONS: `--import=${PRELOAD}` };
  }

  /** How far the servers' clocks are from the real time, milliseconds. */
  setClock(offset: number): void {
    this.#offset = offset;
    writeSync(this.#clock, new Float64Array([offset]), 0, 8, 0);
  }

  get clock(): number {
    return this.#offset;
  }

  /** All late beats since `from`, those of the servers too, once each of them has beaten after this was called. */
  async late(from: number): Promise<readonly Late[]> {
    const now = machineMs();
    let servers: readonly { readonly last: number; readonly late: readonly Late[] }[];
    do {
      await new Promise((resolve) => setTimeout(resolve, 20));
      servers = this.#servers();
    } while (servers.some(({ last }) => last < now) && machineMs() < now + BEATS_WAIT_MS);
    return [...here, ...servers.flatMap(({ late }) => late)].filter(({ end }) => end >= from);
  }

  close(): void {
    if (!this.#probing) return;
    this.#probing = false;
    closeSync(this.#clock);
  }

  #servers() {
    return readdirSync(this.#directory).flatMap((name) => {
      const pid = /^(\d+)-\d+\.beats$/.exec(name)?.[1];
      if (pid === undefined || !lives(Number(pid))) return [];
      const bytes = readFileSync(join(this.#directory, name));
      const numbers = Array.from({ length: bytes.length >> 3 }, (_, index) => bytes.readDoubleLE(index * 8));
      const [last, ...beats] = numbers;
      const late = beats.flatMap((end, index) =>
        index % 2 === 0 ? [{ end, ms: beats[index + 1] ?? 0 }] : [],
      );
      return last === undefined ? [] : [{ last, late }];
    });
  }

  /** The audit log is written before anything leaves, so how late the disk is counts too. */
  async #probe(): Promise<void> {
    const file = await open(join(this.#directory, "probe"), "w");
    while (this.#probing) {
      const began = machineMs();
      await file.write(Buffer.alloc(64), 0, 64, 0);
      const end = machineMs();
      if (end - began >= 5) note({ end, ms: end - began });
      await new Promise<void>((resolve) => {
        setTimeout(resolve, PROBE_MS).unref();
      });
    }
    await file.close();
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
