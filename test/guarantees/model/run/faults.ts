import type { Action } from "../program.ts";
import type { Context } from "./context.ts";

/** What happens to servers and connections; to one server one thing after the other. */
export class Faults {
  readonly #context: Context;
  readonly #seats = new Map<number, Promise<void>>();

  constructor(context: Context) {
    this.#context = context;
  }

  async cause({
    do: what,
    server,
    afterMs,
  }: Action & { do: "kill" | "kill-worker" | "stop" | "cut" }): Promise<void> {
    const { world, recorder } = this.#context;
    const seat = server % world.servers;
    const before = this.#seats.get(seat) ?? Promise.resolve();
    const fault = before.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      const kind = what === "kill-worker" ? "kill" : what;
      recorder.add({ type: "fault", at: recorder.tick(), kind, server: seat });
      if (what === "cut") await world.cut(seat, afterMs * 3);
      else if (what === "kill-worker") await world.killWorker(seat);
      else await world[what](seat);
    });
    this.#seats.set(seat, fault);
    await fault;
  }

  newEpoch(): Promise<void> {
    const { world, recorder } = this.#context;
    recorder.add({ type: "fault", at: recorder.tick(), kind: "epoch", server: 0 });
    return world.newEpoch();
  }

  /** Until none is under way. */
  async over(): Promise<void> {
    await Promise.allSettled(this.#seats.values());
  }
}
