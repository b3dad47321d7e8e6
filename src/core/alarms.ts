const TICK_MS = 100;

/** Something that is called once its time has come. */
export interface Alarm {
  /** When, milliseconds as `performance.now()` gives them; Infinity while nothing is due. */
  at: number;
  /** Which tick looks at it; kept by `Alarms`. */
  tick: number | undefined;
  due(): void;
}

/**
 * One timer for everything that waits with a limit; right to 0.1 s, and early by as long as a turn of the event loop
 * took. An alarm that is put off or taken back stays
 * where it is until its old time has come, so ten thousand streams that put theirs off with each event cost nothing.
 */
export class Alarms {
  readonly #ticks = new Map<number, Set<Alarm>>();
  #timer: NodeJS.Timeout | undefined;
  /** When the last tick passed: to ask the clock for each alarm would cost more than setting it. */
  #now = 0;
  #passed = 0;

  /** Calls `alarm.due` in `ms` milliseconds, unless it is set anew, or `at` is set to Infinity, before. */
  set(alarm: Alarm, ms: number): void {
    if (this.#timer === undefined) {
      this.#now = performance.now();
      this.#passed = Math.floor(this.#now / TICK_MS);
      this.#timer = setInterval(() => this.#pass(), TICK_MS).unref();
    }
    const at = this.#now + ms;
    const tick = Math.max(Math.ceil(at / TICK_MS), this.#passed + 1);
    if (alarm.tick === undefined || alarm.tick > tick) {
      this.remove(alarm);
      this.#add(alarm, tick);
    }
    alarm.at = at;
  }

  /** Forgets the alarm; needed once whoever set it has ended. */
  remove(alarm: Alarm): void {
    alarm.at = Number.POSITIVE_INFINITY;
    if (alarm.tick === undefined) return;
    this.#ticks.get(alarm.tick)?.delete(alarm);
    alarm.tick = undefined;
  }

  #add(alarm: Alarm, tick: number): void {
    alarm.tick = tick;
    const alarms = this.#ticks.get(tick);
    if (alarms === undefined) this.#ticks.set(tick, new Set([alarm]));
    else alarms.add(alarm);
  }

  #pass(): void {
    const now = performance.now();
    this.#now = now;
    for (const last = Math.floor(now / TICK_MS); this.#passed < last; ) {
      this.#passed += 1;
      const alarms = this.#ticks.get(this.#passed);
      this.#ticks.delete(this.#passed);
      for (const alarm of alarms ?? []) {
        if (alarm.tick !== this.#passed) continue;
        alarm.tick = undefined;
        if (alarm.at <= now) {
          alarm.at = Number.POSITIVE_INFINITY;
          alarm.due();
        } else if (alarm.at !== Number.POSITIVE_INFINITY) {
          this.#add(alarm, Math.ceil(alarm.at / TICK_MS));
        }
      }
    }
    if (this.#ticks.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
