import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { beatSteadily } from "./heartbeat.ts";

/**
 * Preloaded into a test server, its workers and their threads (`node --import`). Its clock is the machine's and what
 * the file `clock` in SLOTS_TEST_MACHINE holds, a double of milliseconds; its beats go into a file of its own there.
 */
const directory = process.env.SLOTS_TEST_MACHINE;
if (directory === undefined) throw new Error("SLOTS_TEST_MACHINE: where are the clock and the beats?");

const clock = openSync(join(directory, "clock"), "r");
const offset = new Float64Array(1);
const realNow = Date.now;
const now = (): number => realNow() + (readSync(clock, offset, 0, 8, 0) === 8 ? (offset[0] ?? 0) : 0);
const RealDate = Date;
RealDate.now = now;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
});

/**
 * Work that is due every so many minutes is done when that clock has moved as far: whoever sets it ahead sees what a
 * server does after hours, at once.
 */
const MINUTE_MS = 60_000;
const LOOK_MS = 50;
const realInterval = globalThis.setInterval;
const interval = (run: () => void, ms = 0): NodeJS.Timeout => {
  if (ms < MINUTE_MS) return realInterval(run, ms);
  let last = now();
  return realInterval(() => {
    if (Math.abs(now() - last) < ms) return;
    last = now();
    run();
  }, LOOK_MS);
};
globalThis.setInterval = interval as typeof setInterval;

/** The time of the last beat, then the end and the length of each late one. */
const file = join(directory, `${process.pid}-${threadId}.beats`);
const beats = openSync(file, "w");
let at = 8;
const stop = beatSteadily((last, late) => {
  writeSync(beats, new Float64Array([last]), 0, 8, 0);
  if (late !== undefined) at += writeSync(beats, new Float64Array([late.end, late.ms]), 0, 16, at);
});
process.once("exit", () => {
  stop();
  closeSync(beats);
  rmSync(file, { force: true });
});
