import type { open as openClient, SecretState, Secrets } from "../../../../clients/typescript/src/index.ts";
import { readValue } from "../calls.ts";
import type { Applied, Following, Recorder } from "../history.ts";
import { machineMs } from "../machine/heartbeat.ts";
import type { World } from "../world.ts";

/** Until a secret has a value is as long as it takes; the end of the sequence ends it. */
const OPEN_MS = 3_600_000;

/** One client of ours that follows secrets: records what it shows, and what it answers when it is asked. */
export class FollowingClient {
  readonly #world: World;
  readonly #recorder: Recorder;
  readonly #news: () => void;
  readonly #following: Following;
  readonly #server: number;
  readonly #abort = new AbortController();
  readonly #opening: Promise<void>;
  #secrets: Secrets | undefined;
  #down: PromiseWithResolvers<void> = Promise.withResolvers();
  #downMs: number | undefined;
  /** Nobody gets through since `away`, and it has known that since `ms`. */
  #unheard: { readonly away: number; readonly ms: number } | undefined;

  constructor(
    { world, recorder }: { readonly world: World; readonly recorder: Recorder },
    open: typeof openClient,
    news: () => void,
    { server, ...client }: Omit<Following, "ms" | "downMs"> & { readonly server: number },
  ) {
    this.#world = world;
    this.#recorder = recorder;
    this.#news = news;
    this.#server = server;
    this.#following = { ...client, ms: machineMs() };
    this.#opening = this.#open(open);
    // Told by `close`.
    this.#opening.catch(() => {});
  }

  get following(): Following {
    return this.#downMs === undefined ? this.#following : { ...this.#following, downMs: this.#downMs };
  }

  async #open(open: typeof openClient): Promise<void> {
    const { names, view } = this.#following;
    try {
      this.#secrets = await open({
        address: this.#world.address(this.#server),
        token: this.#world.adminToken,
        names,
        view: view === "all" ? "ALL_ENABLED" : "CURRENT",
        waitMs: OPEN_MS,
        signal: this.#abort.signal,
        onDisconnect: () => this.#disconnected(),
      });
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      throw error;
    }
    for (const name of names) {
      const handle = this.#secrets.handle(name);
      this.#show(handle.state());
      handle.onChange(({ previous, current }) => this.#show(current, previous));
    }
  }

  #show(state: SecretState, previous?: SecretState): void {
    const { handle, view } = this.#following;
    const { name, epoch, revision, absent } = state;
    const at = this.#recorder.tick();
    this.#recorder.add<Applied>({
      ...{ type: "applied", at, ms: machineMs(), handle, name, view, epoch, revision },
      slots: state.slots.map(({ slot, value }) => [
        slot,
        value === undefined ? "failed" : readValue(value.bytes()),
      ]),
      ...(absent === undefined ? {} : { absent }),
      ...(previous === undefined ? {} : { previous: { epoch: previous.epoch, revision: previous.revision } }),
    });
    this.#news();
  }

  #disconnected(): void {
    this.#downMs = machineMs();
    const away = this.#world.awaySince(this.#server);
    if (away !== undefined && this.#unheard?.away !== away) this.#unheard = { away, ms: this.#downMs };
    this.#down.resolve();
    this.#down = Promise.withResolvers();
  }

  /** The next time that its stream, or an attempt at one, has ended. */
  nextDown(): Promise<void> {
    return this.#down.promise;
  }

  /** Asks for what it has. */
  async look(): Promise<void> {
    // What is published is shown in the same turn of the event loop; this is another one.
    await new Promise((resolve) => setImmediate(resolve));
    const secrets = this.#secrets;
    if (secrets === undefined) return;
    const away = this.#world.awaySince(this.#server);
    const unheard = this.#unheard?.away === away ? this.#unheard : undefined;
    for (const name of this.#following.names) {
      const { epoch, revision } = secrets.handle(name).state();
      const ok = answers(secrets, name);
      const [at, ms] = [this.#recorder.tick(), machineMs()];
      this.#recorder.add({
        ...{ type: "answers", at, ms, handle: this.#following.handle, name, ok, epoch, revision },
        ageMs: secrets.ageMs(),
        ...(unheard === undefined ? {} : { unheardSince: unheard.ms }),
      });
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#opening;
    await this.#secrets?.close();
    // It goes on answering.
    await this.look();
  }
}

/** Whether a handle gives what its state says. */
function answers(secrets: Secrets, name: string): boolean {
  const handle = secrets.handle(name);
  const { slots, absent } = handle.state();
  try {
    const { slot, value } = handle.current();
    const top = slots.at(-1);
    return top?.value !== undefined && top.slot === slot && top.value.equals(value);
  } catch (error) {
    return absent !== undefined && (error as { code?: unknown }).code === "NOT_FOUND";
  }
}
