import { eras } from "../eras.ts";
import { lateness } from "../lateness.ts";
import { machineMs } from "../machine/heartbeat.ts";
import { streamsOf } from "../streams.ts";
import { behind, clientBehind } from "../validators/caught-up.ts";
import type { Caller } from "./caller.ts";
import type { Clients } from "./clients.ts";
import type { Context } from "./context.ts";
import { mayWatch } from "./rights.ts";
import type { Watchers } from "./watchers.ts";

export interface Settling {
  readonly context: Context;
  readonly caller: Caller;
  readonly watchers: Watchers;
  readonly clients: Clients;
  /** How long a last state is waited for that is late. */
  readonly settleMs: number;
}

/** Reads what became of it all, brings back every watcher that was cut off, and waits until all have caught up, our clients too. */
export async function settle(settling: Settling): Promise<void> {
  const { context, caller, watchers } = settling;
  await caller.askInDoubt();
  const quietMs = machineMs();
  for (const [index, name] of context.names.entries()) {
    for (const op of ["get", "describe", "list"] as const) await caller.call(0, name, { op }, index);
  }
  await caughtUp(settling, quietMs);
  if (!watchers.streams.some(({ stalled }) => stalled)) return;
  watchers.flowAll();
  await caughtUp(settling, quietMs);
}

async function caughtUp(settling: Settling, quietMs: number): Promise<void> {
  const { recorder, world } = settling.context;
  const since = machineMs();
  for (;;) {
    const news = [settling.watchers.news(), settling.clients.news()];
    await settling.watchers.bringBack();
    const flowing = settling.watchers.streams.filter(({ done, stalled }) => !done && !stalled);
    const reading = flowing.filter(({ watch }) => mayWatch(world, watch));
    const ending = flowing.length - reading.length;
    const history = eras(recorder.entries).at(-1) ?? [];
    const streams = streamsOf(history);
    const late = reading.some(({ watch }) => {
      const stream = streams.find((each) => each.watch.stream === watch.stream);
      return stream === undefined || behind(history, stream, Number.MAX_SAFE_INTEGER) !== undefined;
    });
    const { following } = settling.clients;
    const clientLate = following.some((client) => clientBehind(history, client) !== undefined);
    if ((!late && !clientLate && ending === 0) || (await isPast(settling, since))) {
      const [at, ms] = [recorder.tick(), machineMs()];
      const open = reading.map(({ watch }) => watch.stream);
      recorder.add({ type: "settled", at, ms, quietMs, open, handles: following });
      return settling.clients.lookAll();
    }
    await Promise.race([...news, new Promise((resolve) => setTimeout(resolve, 50))]);
  }
}

/** Whether the wait since then is over, by as much time as the machine gave. */
async function isPast({ context, settleMs }: Settling, since: number): Promise<boolean> {
  if (machineMs() < since + settleMs) return false;
  const late = (await context.world.machine.late(since)).map((each) => ({ type: "late" as const, ...each }));
  const now = machineMs();
  return now > since + settleMs + lateness(late, since, now);
}
