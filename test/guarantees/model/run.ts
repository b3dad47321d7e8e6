import { WatchView } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { WireError, type WireStream } from "../../support/wire.ts";
import { perform } from "./calls.ts";
import { eras } from "./eras.ts";
import { eventOf, type Message } from "./events.ts";
import { type Entry, type Event, Recorder, type Resume, type Watch } from "./history.ts";
import { lateness } from "./lateness.ts";
import { machineMs } from "./machine/heartbeat.ts";
import type { Answer, Op } from "./model.ts";
import type { Action, Program } from "./program.ts";
import { streamsOf } from "./streams.ts";
import { type Target, type Token, tokenText } from "./tokens.ts";
import { behind } from "./validators/caught-up.ts";
import type { Backup, World } from "./world.ts";

export interface RunOptions {
  /** Names begin with it, so that what other runs did in the same world is not seen. */
  readonly prefix: string;
  /** How long a last state is waited for that is late, to tell whether it comes at all. */
  readonly settleMs?: number;
}

interface Open {
  readonly watch: Watch;
  readonly stream: WireStream<Message>;
  readonly ended: Promise<void>;
  done: boolean;
  cancelled: boolean;
  code: string;
  /** Set while the watcher stalls. */
  gate: PromiseWithResolvers<void> | undefined;
}

interface Watcher {
  open: Open | undefined;
  readonly tokens: Token[];
}

const FAULTS = new Set(["kill", "kill-worker", "stop", "cut", "epoch", "restore"]);
const ACCESS = new Set(["revoke", "ungrant", "grant"]);
const BROKEN = new Set(["UNAVAILABLE", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL"]);
const LARGE_BYTES = 60_000;
const FLOOD_PUTS = 40;
/** A sequence that took less needs no excuse: every promise of a time is of this or more. */
const SHORTEST_PROMISE_MS = 1_000;
const WIRE_VIEW = { all: WatchView.ALL_ENABLED, current: WatchView.CURRENT } as const;

/** Runs a program in a world and gives its history. */
export async function run(world: World, program: Program, options: RunOptions): Promise<readonly Entry[]> {
  const running = new Run(world, program, options);
  try {
    for (const round of program) await running.round(round);
    await running.settle();
    await running.noteLateness();
  } finally {
    await running.end();
  }
  return running.recorder.entries;
}

class Run {
  readonly recorder = new Recorder();
  readonly #world: World;
  readonly #names: readonly string[];
  readonly #prefix: string;
  readonly #settleMs: number;
  /** Whether calls may break off: each change then has a request id, so that asking again is safe. */
  readonly #faulty: boolean;
  readonly #rotates: boolean;
  readonly #beganMs = machineMs();
  readonly #watchers: Watcher[] = [];
  readonly #mutations: { readonly name: string; readonly op: Op }[] = [];
  /** Changes that broke off and were refused when asked again, with when they broke off. */
  readonly #inDoubt = new Map<Op, { readonly client: number; readonly name: string; readonly at: number }>();
  readonly #lastPut = new Map<string, string>();
  readonly #revisions = new Map<string, bigint[]>();
  readonly #seats = new Map<number, Promise<void>>();
  readonly #turns = new Map<number, Promise<void>>();
  #values = 0;
  #ids = 0;
  #streams = 0;
  #backup: Backup | undefined;
  #news: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(world: World, program: Program, { prefix, settleMs = 20_000 }: RunOptions) {
    this.#world = world;
    this.#prefix = prefix;
    this.#settleMs = settleMs;
    this.#names = [`${prefix}/a`, `${prefix}/b`];
    this.#faulty = program.some((round) => round.some((action) => FAULTS.has(action.do)));
    this.#rotates = program.some((round) => round.some((action) => action.do === "rotate"));
    for (let index = 0; index < 3; index++) this.#watchers.push({ open: undefined, tokens: [] });
  }

  async round(actions: readonly Action[]): Promise<void> {
    // Two changes of rights at once would leave open which of them holds.
    const access = actions.find((action) => ACCESS.has(action.do));
    const chosen = actions.filter((action) => !ACCESS.has(action.do) || action === access);
    const outcomes = await Promise.allSettled(chosen.map((action) => this.#inTurn(action)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  /** One watcher does one thing at a time: it is one client, with one stream. */
  #inTurn(action: Action): Promise<void> {
    if (!("watcher" in action)) return this.#act(action);
    const before = this.#turns.get(action.watcher) ?? Promise.resolve();
    const turn = before.then(() => this.#act(action));
    this.#turns.set(
      action.watcher,
      turn.catch(() => {}),
    );
    return turn;
  }

  async #act(action: Action): Promise<void> {
    switch (action.do) {
      case "put":
        return this.#put(action);
      case "disable":
      case "enable":
      case "destroy":
        return this.#change(action.name, { op: action.do, slot: BigInt(action.slot) }, action.server);
      case "update":
        return this.#change(action.name, { op: "update", comment: `c${++this.#values}` }, action.server);
      case "delete":
        return this.#change(action.name, { op: "delete" }, action.server);
      case "get":
      case "describe":
      case "list":
        return this.#call(action.by, this.#name(action.name), { op: action.do }, action.server);
      case "at":
        return this.#call(
          action.by,
          this.#name(action.name),
          { op: "at", at: BigInt(action.at) },
          action.server,
        );
      case "again":
        return this.#again(action);
      case "watch":
        return this.#watch(action.watcher, action.server, {
          rpc: "secret",
          names: [this.#name(action.name)],
          view: "all",
          allowMissing: action.allowMissing,
        });
      case "watch-slots":
        return this.#watch(action.watcher, action.server, {
          rpc: "slots",
          names: action.both ? this.#names : this.#names.slice(0, 1),
          view: action.view,
          allowMissing: action.allowMissing,
        });
      case "cancel":
        return this.#cancel(action.watcher);
      case "stall":
        return this.#stall(action.watcher);
      case "flow":
        return this.#flow(action.watcher);
      case "resume":
        return this.#resume(action);
      case "flood":
        return this.#flood(action);
      case "revoke":
      case "ungrant":
      case "grant":
        return this.#rights(action);
      case "kill":
      case "kill-worker":
      case "stop":
      case "cut":
        return this.#fault(action);
      case "epoch":
        this.recorder.add({ type: "fault", at: this.recorder.tick(), kind: "epoch", server: 0 });
        return this.#world.newEpoch();
      case "rotate":
      case "checkpoint":
      case "clock":
      case "hold":
        return this.#upkeep(action);
      case "backup":
        return this.#backUp(action.server);
      case "restore":
        return this.#restore();
    }
  }

  #name(index: number): string {
    return this.#names[index % this.#names.length] ?? "";
  }

  // Calls

  #put(action: Action & { do: "put" }): Promise<void> {
    const name = this.#name(action.name);
    const key = `${name} ${action.slot}`;
    const fresh = `${this.#prefix.replaceAll("/", "-")}v${++this.#values}`;
    const value = {
      new: fresh,
      same: this.#lastPut.get(key) ?? fresh,
      empty: "",
      large: `${fresh}~${LARGE_BYTES}`,
    }[action.value];
    this.#lastPut.set(key, value);
    const known = this.#revisions.get(name) ?? [];
    const expected = { none: undefined, zero: 0n, right: known.at(-1), stale: known.at(-2) }[action.expected];
    const op: Op = {
      op: "put",
      ...(action.slot === null ? {} : { slot: BigInt(action.slot) }),
      value,
      overwrite: action.overwrite,
      disabled: action.disabled,
      ...(expected === undefined ? {} : { expected }),
    };
    return this.#change(action.name, op, action.server);
  }

  #change(name: number, op: Op, server: number): Promise<void> {
    this.#ids++;
    const withId = this.#faulty || this.#ids % 3 !== 0;
    const named = withId ? { ...op, id: `${this.#prefix}-${this.#ids}` } : op;
    if (withId) this.#mutations.push({ name: this.#name(name), op: named });
    return this.#call(0, this.#name(name), named, server);
  }

  #again({ back, otherwise, server }: Action & { do: "again" }): Promise<void> {
    const mutation = this.#mutations.at(-1 - back);
    if (mutation === undefined) return Promise.resolve();
    const { name, op } = mutation;
    if (!otherwise) return this.#call(0, name, op, server);
    const other: Op = op.op === "put" ? { ...op, value: `${op.value}x` } : op;
    return this.#call(0, name, other, server);
  }

  /**
   * A call until it is answered: what breaks off is asked again, of the next server. A change may still be under way
   * at the server that was cut off, and happen after another has refused it: a later success is then of that time.
   */
  async #call(client: number, name: string, op: Op, server: number): Promise<void> {
    let start = this.recorder.tick();
    let brokeAt: number | undefined;
    const end = Date.now() + 60_000;
    for (let attempt = 0; ; attempt++) {
      const token = this.#world.token(client);
      let outcome: { readonly answer: Answer; readonly epoch?: string };
      try {
        outcome = await perform(this.#world.wire(client, server + attempt), name, op);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        const busy = error.reason === "STORE_BUSY";
        if (BROKEN.has(error.code) && (this.#faulty || busy) && Date.now() < end) {
          brokeAt ??= this.recorder.tick();
          await new Promise((resolve) => setTimeout(resolve, 10));
          // A read that broke off saw nothing, so its second try is another read.
          if (!("id" in op)) start = this.recorder.tick();
          continue;
        }
        outcome = { answer: { code: error.code, reason: error.reason } };
      }
      const succeeded = outcome.answer.code === "OK";
      this.recorder.add({
        type: "call",
        start: (succeeded ? this.#inDoubt.get(op)?.at : undefined) ?? start,
        end: this.recorder.tick(),
        name,
        client,
        token,
        op,
        ...outcome,
      });
      if (succeeded) this.#inDoubt.delete(op);
      else if ("id" in op && brokeAt !== undefined) this.#inDoubt.set(op, { client, name, at: brokeAt });
      const { revision } = outcome.answer as { revision?: unknown };
      if (typeof revision === "bigint")
        this.#revisions.set(name, [...(this.#revisions.get(name) ?? []), revision]);
      return;
    }
  }

  async #flood({ watcher, server }: Action & { do: "flood" }): Promise<void> {
    const open = this.#watchers[watcher]?.open;
    if (open === undefined || open.done || open.watch.rpc !== "secret") return;
    await this.#stall(watcher);
    const name = open.watch.names[0] ?? "";
    for (let count = 0; count < FLOOD_PUTS; count++) {
      const value = `${this.#prefix.replaceAll("/", "-")}v${++this.#values}~${LARGE_BYTES}`;
      const id = `${this.#prefix}-${++this.#ids}`;
      const op: Op = { op: "put", slot: 2n ** 62n, value, overwrite: true, disabled: false, id };
      await this.#call(0, name, op, server);
    }
  }

  // Watches

  async #watch(
    index: number,
    server: number,
    target: Target,
    resume?: { text: string; resume: Resume },
  ): Promise<void> {
    const watcher = this.#watchers[index] as Watcher;
    await this.#cancel(index);
    const client = 1 + (index % 2);
    const stream = ++this.#streams;
    const watch: Watch = this.recorder.add({
      type: "watch",
      at: this.recorder.tick(),
      ms: machineMs(),
      stream,
      watcher: index,
      client,
      token: this.#world.token(client),
      ...target,
      ...(resume === undefined ? {} : { resume: resume.resume }),
    });
    const more = { resumeToken: resume?.text ?? "", allowMissing: target.allowMissing };
    const wire = this.#world.wire(client, server);
    const messages: WireStream<Message> =
      target.rpc === "secret"
        ? wire.watch(target.names[0] ?? "", more)
        : wire.watchSlots([...target.names], { ...more, view: WIRE_VIEW[target.view] });
    const ended = Promise.withResolvers<void>();
    const open: Open = {
      watch,
      stream: messages,
      ended: ended.promise,
      done: false,
      cancelled: false,
      code: "",
      gate: undefined,
    };
    watcher.open = open;
    void this.#pump(watcher, open).then(ended.resolve, ended.reject);
  }

  async #pump(watcher: Watcher, open: Open): Promise<void> {
    const { watch, stream } = open;
    const { rpc, names, view, allowMissing } = watch;
    let [code, reason] = ["OK", ""];
    try {
      for (;;) {
        if (open.gate !== undefined) await open.gate.promise;
        const { done, value } = await stream.next();
        if (done || open.cancelled) break;
        const event = eventOf(value, watch);
        this.recorder.add({ ...event, at: this.recorder.tick(), ms: machineMs() });
        const { at } = this.recorder.entries.at(-1) as Event;
        if (value.resumeToken !== "")
          watcher.tokens.push({ text: value.resumeToken, at, target: { rpc, names, view, allowMissing } });
        this.#news.resolve();
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      [code, reason] = [error.code, error.reason];
    }
    open.done = true;
    open.code = code;
    this.recorder.add({
      type: "end",
      at: this.recorder.tick(),
      ms: machineMs(),
      stream: watch.stream,
      code,
      reason,
      cancelled: open.cancelled,
    });
    this.#news.resolve();
  }

  async #cancel(index: number): Promise<void> {
    const watcher = this.#watchers[index] as Watcher;
    const { open } = watcher;
    watcher.open = undefined;
    if (open === undefined) return;
    open.cancelled = true;
    open.gate?.resolve();
    open.stream.cancel();
    await open.ended;
  }

  async #stall(index: number): Promise<void> {
    const open = this.#watchers[index]?.open;
    if (open === undefined || open.done || open.gate !== undefined) return;
    open.gate = Promise.withResolvers();
    this.recorder.add({
      type: "stall",
      at: this.recorder.tick(),
      ms: machineMs(),
      stream: open.watch.stream,
    });
  }

  async #flow(index: number): Promise<void> {
    const open = this.#watchers[index]?.open;
    if (open?.gate === undefined) return;
    this.recorder.add({ type: "flow", at: this.recorder.tick(), ms: machineMs(), stream: open.watch.stream });
    open.gate.resolve();
    open.gate = undefined;
  }

  async #resume({ watcher: index, token: kind, pick, server }: Action & { do: "resume" }): Promise<void> {
    const watcher = this.#watchers[index] as Watcher;
    await this.#cancel(index);
    const newest = watcher.tokens.at(-1);
    if (newest === undefined) return;
    const token = kind === "old" ? (watcher.tokens.at(-1 - pick) ?? newest) : newest;
    const { target } = token;
    let names = target.names;
    if (target.rpc === "slots" && pick % 4 === 0) names = this.#names;
    if (target.rpc === "slots" && pick % 4 === 1) names = this.#names.slice(0, 1);
    const others = this.#watchers.flatMap(({ tokens }) => tokens);
    const text = tokenText(kind, token, others);
    if (text === undefined) return;
    await this.#watch(index, server, { ...target, names }, { text, resume: { kind, from: token.at } });
  }

  // Rights and faults

  async #rights({
    do: what,
    client,
    server,
  }: Action & { do: "revoke" | "ungrant" | "grant" }): Promise<void> {
    const start = this.recorder.tick();
    const token = this.#world.token(client);
    const revision =
      what === "revoke"
        ? await this.#world.revoke(client, server)
        : await this.#world.grant(client, what === "grant", server);
    this.recorder.add({
      type: "access",
      start,
      end: this.recorder.tick(),
      ms: machineMs(),
      what: ({ revoke: "token", ungrant: "grant", grant: "back" } as const)[what],
      client,
      token,
      revision,
    });
    if (what === "revoke") await this.#world.renew(client);
  }

  async #fault({
    do: what,
    server,
    afterMs,
  }: Action & { do: "kill" | "kill-worker" | "stop" | "cut" }): Promise<void> {
    const seat = server % this.#world.servers;
    const before = this.#seats.get(seat) ?? Promise.resolve();
    const fault = before.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      const kind = what === "kill-worker" ? "kill" : what;
      this.recorder.add({ type: "fault", at: this.recorder.tick(), kind, server: seat });
      if (what === "cut") await this.#world.cut(seat, afterMs * 3);
      else if (what === "kill-worker") await this.#world.killWorker(seat);
      else await this.#world[what](seat);
    });
    this.#seats.set(seat, fault);
    await fault;
  }

  // Upkeep

  async #upkeep(action: Action & { do: "rotate" | "checkpoint" | "clock" | "hold" }): Promise<void> {
    const { do: _, ...details } = action;
    const what = `${action.do} ${Object.values(details).join(" ")}`;
    this.recorder.add({ type: "upkeep", at: this.recorder.tick(), what });
    switch (action.do) {
      case "rotate":
        return this.#world.rotate(action.server);
      case "checkpoint":
        return this.#world.checkpoint(action.mode);
      case "clock":
        return this.#world.machine.setClock(action.offsetMs);
      case "hold":
        return this.#world.hold(action.server, action.ms);
    }
  }

  async #backUp(server: number): Promise<void> {
    const start = this.recorder.tick();
    this.#backup = await this.#world.backup(server);
    const { revision, epoch } = this.#backup;
    this.recorder.add({ type: "backup", start, end: this.recorder.tick(), revision, epoch });
  }

  /** Back to the last backup of this sequence; call with nothing under way. */
  async #restore(): Promise<void> {
    const backup = this.#backup;
    if (backup === undefined) return;
    this.#backup = undefined;
    for (const index of this.#watchers.keys()) await this.#flow(index);
    await this.#world.restore(backup);
    await Promise.all(this.#watchers.map(({ open }) => open?.ended));
    // What came after the backup never was: neither its request ids nor its revisions mean anything now.
    this.#mutations.length = 0;
    this.#inDoubt.clear();
    this.#revisions.clear();
    this.recorder.add({ type: "restore", at: this.recorder.tick(), revision: backup.revision });
  }

  // The end

  /** Reads what became of it all, brings back every watcher that was cut off, and waits until all have caught up. */
  async settle(): Promise<void> {
    if (this.#rotates) {
      const left = await this.#world.finishRotation(0);
      this.recorder.add({ type: "rotated", at: this.recorder.tick(), left });
    }
    for (const [op, { client, name }] of [...this.#inDoubt]) await this.#call(client, name, op, 0);
    const quietMs = machineMs();
    for (const [index, name] of this.#names.entries()) {
      for (const op of ["get", "describe", "list"] as const) await this.#call(0, name, { op }, index);
    }
    await this.#caughtUp(quietMs);
    if (this.#watchers.every(({ open }) => open?.gate === undefined)) return;
    for (const index of this.#watchers.keys()) await this.#flow(index);
    await this.#caughtUp(quietMs);
  }

  async #caughtUp(quietMs: number): Promise<void> {
    const since = machineMs();
    for (;;) {
      this.#news = Promise.withResolvers();
      for (const index of this.#watchers.keys()) await this.#bringBack(index);
      const open = this.#watchers.flatMap(({ open }) => (open === undefined || open.done ? [] : [open]));
      const reading = open.filter(({ gate, watch }) => gate === undefined && this.#mayWatch(watch));
      const ending = open.filter(({ gate, watch }) => gate === undefined && !this.#mayWatch(watch));
      const history = eras(this.recorder.entries).at(-1) ?? [];
      const streams = streamsOf(history);
      const late = reading.some(({ watch }) => {
        const stream = streams.find((each) => each.watch.stream === watch.stream);
        return stream === undefined || behind(history, stream, Number.MAX_SAFE_INTEGER) !== undefined;
      });
      if ((!late && ending.length === 0) || (await this.#isPast(since))) {
        const [at, ms] = [this.recorder.tick(), machineMs()];
        const numbers = reading.map(({ watch }) => watch.stream);
        this.recorder.add({ type: "settled", at, ms, quietMs, open: numbers });
        return;
      }
      await Promise.race([this.#news.promise, new Promise((resolve) => setTimeout(resolve, 50))]);
    }
  }

  /** Whether the wait since then is over, by as much time as the machine gave. */
  async #isPast(since: number): Promise<boolean> {
    if (machineMs() < since + this.#settleMs) return false;
    const late = (await this.#world.machine.late(since)).map((each) => ({ type: "late" as const, ...each }));
    const now = machineMs();
    return now > since + this.#settleMs + lateness(late, since, now);
  }

  /** For the validators of what is promised within a time. */
  async noteLateness(): Promise<void> {
    if (machineMs() - this.#beganMs < SHORTEST_PROMISE_MS) return;
    for (const late of await this.#world.machine.late(this.#beganMs))
      this.recorder.add({ type: "late", ...late });
  }

  #mayWatch({ client, token }: Watch): boolean {
    return this.#world.token(client) === token && !this.#world.ungranted.includes(client);
  }

  async #bringBack(index: number): Promise<void> {
    const { open, tokens } = this.#watchers[index] as Watcher;
    if (open?.done !== true || open.cancelled || !BROKEN.has(open.code) || !this.#mayWatch(open.watch))
      return;
    // A client goes on from the last token of this very watch, and else begins afresh.
    const token = tokens.findLast(({ at }) => at > open.watch.at);
    const { rpc, names, view, allowMissing } = open.watch;
    const target = { rpc, names, view, allowMissing };
    await this.#watch(
      index,
      open.watch.stream,
      target,
      token && { text: token.text, resume: { kind: "right", from: token.at } },
    );
  }

  async end(): Promise<void> {
    await Promise.allSettled(this.#seats.values());
    for (const index of this.#watchers.keys()) await this.#cancel(index);
    await this.#world.tidy();
  }
}
