import { execFileSync } from "node:child_process";
import { closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childrenOf } from "../test/support/processes.ts";
import { ServerProcess } from "../test/support/server-process.ts";
import { Wire } from "../test/support/wire.ts";
import { Callers } from "./callers.ts";
import type { Figure, Plan } from "./scenario.ts";
import { percentile, spread } from "./statistics.ts";

/** What a small group of commits writes to the WAL. */
const GROUP_BYTES = 5 * 4096;
const PROBES = 200;
/** One that ended, with its time: `PID SECONDS fsync(24) = 0`, or `PID SECONDS <... fsync resumed>) = 0`. */
const FLUSHED = /^\d+ +([\d.]+) .*(?:fsync|fdatasync).*= 0$/gm;

/** How many commits share a flush, and how long this disk takes for one. */
export async function flushes(plan: Plan, callers: number): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "slots-bench-flushes-"));
  try {
    const disk = Array.from({ length: plan.rounds }, () =>
      percentile(flushTimes(join(folder, "probe")), 0.5),
    );
    const figures: Figure[] = [
      { name: "the disk's flush of 20 KB over old bytes, p50", unit: "ms", value: spread(disk) },
    ];
    if (!canTrace()) {
      console.log(
        "!!!!!! commits per flush are not measured: strace is missing, or may not be used (Debian: strace)",
      );
      return figures;
    }
    const shared = await commitsPerFlush(plan, callers, join(folder, "calls"));
    // The bounds count where the disk flushes in under 0.3 ms, so that one caller hardly waits for it.
    return [
      ...figures,
      {
        name: `commits per flush, ${callers} callers`,
        unit: "",
        value: spread(shared),
        must: ">= 8",
        aim: ">= 24",
      },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** It may be there and forbidden. */
function canTrace(): boolean {
  try {
    execFileSync("strace", ["-qq", "-o", "/dev/null", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Over bytes that are there, as a WAL that was begun anew is written. */
function flushTimes(file: string): number[] {
  const handle = openSync(file, "w");
  const bytes = Buffer.alloc(GROUP_BYTES, 1);
  writeSync(handle, Buffer.alloc(GROUP_BYTES * PROBES));
  fsyncSync(handle);
  const times = Array.from({ length: PROBES }, (_, index) => {
    writeSync(handle, bytes, 0, GROUP_BYTES, index * GROUP_BYTES);
    const began = performance.now();
    fsyncSync(handle);
    return performance.now() - began;
  });
  closeSync(handle);
  return times;
}

/** Counted from outside, by the flushes that the kernel is asked for; only those calls are looked at. */
async function commitsPerFlush(plan: Plan, callers: number, log: string): Promise<number[]> {
  const server = await ServerProcess.start({
    under: [...["strace", "--seccomp-bpf", "-f", "-qq", "-ttt", "-e", "trace=fsync,fdatasync", "-o", log]],
  });
  // What strace runs: strace would leave it behind.
  const [pid] = childrenOf(server.pid);
  let ended = false;
  const end = () => {
    if (!ended && pid !== undefined) process.kill(pid, "SIGKILL");
    ended = true;
  };
  const wires = Array.from({ length: 4 }, () => new Wire(server.address, server.adminToken));
  try {
    const putters = new Callers(wires, "bench/flush");
    await putters.put(callers, 1);
    const rounds: { began: number; puts: number; ended: number }[] = [];
    for (let round = 0; round < plan.rounds; round++) {
      const began = Date.now();
      const { took } = await putters.put(callers, plan.seconds);
      rounds.push({ began, puts: took.length, ended: Date.now() });
    }
    end();
    // It keeps lines back until it ends.
    await server.exited;
    const times = [...readFileSync(log, "utf8").matchAll(FLUSHED)].map((match) => Number(match[1]) * 1000);
    // A checkpoint's flushes are counted, too: there are more commits per flush than this says, never fewer.
    return rounds.map(
      ({ began, puts, ended }) => puts / times.filter((time) => time >= began && time <= ended).length,
    );
  } finally {
    for (const wire of wires) wire.close();
    end();
    await server.dispose();
  }
}
