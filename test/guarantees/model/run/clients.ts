import type { open as openClient } from "../../../../clients/typescript/src/index.ts";
import type { Following } from "../history.ts";
import type { Action } from "../program.ts";
import type { Context } from "./context.ts";
import { FollowingClient } from "./following-client.ts";

const CLIENTS = 2;
const LOOK_MS = 20;

/** Clients of ours, as programs have them: each follows secrets through one proxy until it is closed. */
export class Clients {
  readonly #context: Context;
  readonly #open: typeof openClient;
  readonly #clients: (FollowingClient | undefined)[] = Array.from({ length: CLIENTS }, () => undefined);
  #opened = 0;
  #news: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(context: Context, open: typeof openClient) {
    this.#context = context;
    this.#open = open;
  }

  get #all(): readonly FollowingClient[] {
    return this.#clients.filter((client) => client !== undefined);
  }

  get following(): readonly Following[] {
    return this.#all.map(({ following }) => following);
  }

  /** The next state that any of them shows, from here on. */
  news(): Promise<void> {
    this.#news = Promise.withResolvers();
    return this.#news.promise;
  }

  async open({ handle, both, view, server }: Action & { do: "open" }): Promise<void> {
    await this.close(handle);
    const { names } = this.#context;
    this.#clients[handle] = new FollowingClient(this.#context, this.#open, () => this.#news.resolve(), {
      handle: ++this.#opened,
      names: both ? names : names.slice(0, 1),
      view,
      server,
    });
  }

  async look(handle: number): Promise<void> {
    await this.#clients[handle]?.look();
  }

  async lookAll(): Promise<void> {
    for (const client of this.#all) await client.look();
  }

  /** Asks all of them, again and again, while something happens to servers. */
  async lookBeside(happening: Promise<void>): Promise<void> {
    let over = false;
    const happened = happening.finally(() => {
      over = true;
    });
    // Who waits for it is told of its failure below.
    happened.catch(() => {});
    while (!over) {
      await this.lookAll();
      await Promise.race([happened.catch(() => {}), new Promise((resolve) => setTimeout(resolve, LOOK_MS))]);
    }
    await happened;
  }

  /** Call while no server runs: resolves once none of them has anything of before on its way. */
  async cutOff(): Promise<void> {
    await Promise.all(this.#all.map((client) => client.nextDown()));
  }

  async close(handle: number): Promise<void> {
    const client = this.#clients[handle];
    this.#clients[handle] = undefined;
    await client?.close();
  }

  async closeAll(): Promise<void> {
    for (const handle of this.#clients.keys()) await this.close(handle);
  }
}
