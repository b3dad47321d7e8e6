import type { Backup } from "../world.ts";
import type { Caller } from "./caller.ts";
import type { Clients } from "./clients.ts";
import type { Context } from "./context.ts";
import type { Watchers } from "./watchers.ts";
import type { Writer } from "./writer.ts";

/** Backups of the store, and the way back to the last one. */
export class Backups {
  readonly #context: Context;
  readonly #caller: Caller;
  readonly #writer: Writer;
  readonly #watchers: Watchers;
  readonly #clients: Clients;
  #last: Backup | undefined;

  constructor(context: Context, caller: Caller, writer: Writer, watchers: Watchers, clients: Clients) {
    this.#context = context;
    this.#caller = caller;
    this.#writer = writer;
    this.#watchers = watchers;
    this.#clients = clients;
  }

  async make(server: number): Promise<void> {
    const { world, recorder } = this.#context;
    const start = recorder.tick();
    this.#last = await world.backup(server);
    const { revision, epoch } = this.#last;
    recorder.add({ type: "backup", start, end: recorder.tick(), revision, epoch });
  }

  /** Back to the last backup of this sequence; call with nothing under way. */
  async restore(): Promise<void> {
    const { world, recorder } = this.#context;
    const backup = this.#last;
    if (backup === undefined) return;
    this.#last = undefined;
    this.#watchers.flowAll();
    await world.restore(backup, async () => {
      await Promise.all([...this.#watchers.streams.map(({ ended }) => ended), this.#clients.cutOff()]);
      // What came after the backup never was: neither its request ids nor its revisions mean anything now.
      this.#writer.forget();
      this.#caller.forget();
      recorder.add({ type: "restore", at: recorder.tick(), revision: backup.revision });
    });
  }
}
