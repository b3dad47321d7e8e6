/**
 * How late the machine lets a thread run. A promise of "within 1 s" is about the server, so a test may add to it what
 * the machine took: every thread that takes part beats, and notes each beat that was late.
 */
export interface Late {
  /** When the beat came, milliseconds of the machine's own monotonic clock, which all processes share. */
  readonly end: number;
  readonly ms: number;
}

const BEAT_MS = 50;
/** Timers are this inexact on a quiet machine. */
const NOTED_MS = 5;

export const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Calls `beat` at each beat, with how late it was when that is worth a note. Never keeps a process alive. */
export function beatSteadily(beat: (now: number, late: Late | undefined) => void): () => void {
  let due = machineMs() + BEAT_MS;
  const timer = setInterval(() => {
    const now = machineMs();
    const ms = now - due;
    due = now + BEAT_MS;
    beat(now, ms >= NOTED_MS ? { end: now, ms } : undefined);
  }, BEAT_MS);
  timer.unref();
  return () => clearInterval(timer);
}
