import { WatchView } from "../../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { WireStream } from "../../../support/wire.ts";
import type { Message } from "../events.ts";
import type { Resume, Watch } from "../history.ts";
import { machineMs } from "../machine/heartbeat.ts";
import type { Action } from "../program.ts";
import { type Target, type Token, tokenText, toldBy } from "../tokens.ts";
import type { Context } from "./context.ts";
import { OpenStream } from "./open-stream.ts";
import { mayWatch } from "./rights.ts";

interface Watcher {
  stream: OpenStream | undefined;
  readonly tokens: Token[];
}

const WATCHERS = 3;
const MAX = 2n ** 63n;
const WIRE_VIEW = { all: WatchView.ALL_ENABLED, current: WatchView.CURRENT } as const;

/** Those who watch: each has one stream at a time, and keeps the tokens of all that it had. */
export class Watchers {
  readonly #context: Context;
  readonly #watchers: readonly Watcher[];
  #opened = 0;
  #news: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(context: Context) {
    this.#context = context;
    this.#watchers = Array.from({ length: WATCHERS }, () => ({ stream: undefined, tokens: [] }));
  }

  /** The last stream of each that was not cancelled, whether or not it has ended. */
  get streams(): readonly OpenStream[] {
    return this.#watchers.flatMap(({ stream }) => stream ?? []);
  }

  /** The next event of any stream, or end of one, from here on. */
  news(): Promise<void> {
    this.#news = Promise.withResolvers();
    return this.#news.promise;
  }

  /** The stream that a watcher reads. */
  reading(index: number): OpenStream | undefined {
    const stream = this.#watchers[index]?.stream;
    return stream?.done ? undefined : stream;
  }

  async watch(
    index: number,
    server: number,
    target: Target,
    resume?: { readonly text: string; readonly resume: Resume },
  ): Promise<void> {
    const { world, recorder } = this.#context;
    const watcher = this.#watchers[index] as Watcher;
    await this.cancel(index);
    const client = 1 + (index % 2);
    const stream = ++this.#opened;
    const watch: Watch = recorder.add({
      type: "watch",
      at: recorder.tick(),
      ms: machineMs(),
      stream,
      watcher: index,
      client,
      token: world.token(client),
      ...target,
      ...(resume === undefined ? {} : { resume: resume.resume }),
    });
    const more = { resumeToken: resume?.text ?? "", allowMissing: target.allowMissing };
    const wire = world.wire(client, server);
    const messages: WireStream<Message> =
      target.rpc === "secret"
        ? wire.watch(target.names[0] ?? "", more)
        : wire.watchSlots([...target.names], { ...more, view: WIRE_VIEW[target.view] });
    watcher.stream = new OpenStream(watch, messages, recorder, {
      token: (token) => watcher.tokens.push(token),
      news: () => this.#news.resolve(),
    });
  }

  async cancel(index: number): Promise<void> {
    const watcher = this.#watchers[index] as Watcher;
    const { stream } = watcher;
    watcher.stream = undefined;
    await stream?.cancel();
  }

  async cancelAll(): Promise<void> {
    for (const index of this.#watchers.keys()) await this.cancel(index);
  }

  stall(index: number): void {
    this.#watchers[index]?.stream?.stall();
  }

  flow(index: number): void {
    this.#watchers[index]?.stream?.flow();
  }

  flowAll(): void {
    for (const stream of this.streams) stream.flow();
  }

  async resume({ watcher: index, token: kind, pick, server }: Action & { do: "resume" }): Promise<void> {
    const watcher = this.#watchers[index] as Watcher;
    await this.cancel(index);
    const newest = watcher.tokens.at(-1);
    if (newest === undefined) return;
    const token = kind === "old" ? (watcher.tokens.at(-1 - pick) ?? newest) : newest;
    const { target } = token;
    let names = target.names;
    if (target.rpc === "slots" && pick % 4 === 0) names = this.#context.names;
    if (target.rpc === "slots" && pick % 4 === 1) names = this.#context.names.slice(0, 1);
    const others = this.#watchers.flatMap(({ tokens }) => tokens);
    const text = tokenText(kind, token, others);
    if (text === undefined) return;
    await this.watch(index, server, { ...target, names }, { text, resume: this.#resumeOf(kind, token) });
  }

  /** Every watcher whose stream broke off watches again. */
  async bringBack(): Promise<void> {
    for (const index of this.#watchers.keys()) await this.#bringBack(index);
  }

  async #bringBack(index: number): Promise<void> {
    const { stream, tokens } = this.#watchers[index] as Watcher;
    if (stream?.brokeOff !== true) return;
    const { watch } = stream;
    if (!mayWatch(this.#context.world, watch)) return;
    // A client goes on from the last token of this very watch, and else begins afresh.
    const token = tokens.findLast(({ at }) => at > watch.at);
    const { rpc, names, view, allowMissing } = watch;
    await this.watch(
      index,
      watch.stream,
      { rpc, names, view, allowMissing },
      token && { text: token.text, resume: this.#resumeOf("right", token) },
    );
  }

  #resumeOf(kind: Resume["kind"], token: Token): Resume {
    const lost = (kind === "right" || kind === "old") && (toldBy(token) ?? MAX) <= this.#context.world.floor;
    return { kind: lost ? "lost" : kind, from: token.at };
  }
}
