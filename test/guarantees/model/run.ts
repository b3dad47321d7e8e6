import { open } from "../../../clients/typescript/src/index.ts";
import type { Entry } from "./history.ts";
import { machineMs } from "./machine/heartbeat.ts";
import type { Action, Program } from "./program.ts";
import { Backups } from "./run/backups.ts";
import { Caller } from "./run/caller.ts";
import { Clients } from "./run/clients.ts";
import { Context } from "./run/context.ts";
import { Faults } from "./run/faults.ts";
import { changeRights } from "./run/rights.ts";
import { settle } from "./run/settle.ts";
import { finishRotation, forget, noteForgotten, upkeep } from "./run/upkeep.ts";
import { Watchers } from "./run/watchers.ts";
import { Writer } from "./run/writer.ts";
import type { World } from "./world.ts";

export interface RunOptions {
  /** Names begin with it, so that what other runs did in the same world is not seen. */
  readonly prefix: string;
  /** How long a last state is waited for that is late, to tell whether it comes at all. */
  readonly settleMs?: number;
  /** How a client of ours is opened. Default: as it is published. */
  readonly open?: typeof open;
}

const ACCESS = new Set(["revoke", "ungrant", "grant"]);
/** A sequence that took less needs no excuse: every promise of a time is of this or more. */
const SHORTEST_PROMISE_MS = 1_000;

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
  return running.history;
}

/** Says what each action of a program does; the parts in `run/` do it. */
class Run {
  readonly #context: Context;
  readonly #caller: Caller;
  readonly #writer: Writer;
  readonly #watchers: Watchers;
  readonly #clients: Clients;
  readonly #faults: Faults;
  readonly #backups: Backups;
  readonly #settleMs: number;
  readonly #rotates: boolean;
  readonly #beganMs = machineMs();
  readonly #turns = new Map<string, Promise<void>>();

  constructor(world: World, program: Program, { prefix, settleMs = 20_000, open: opens = open }: RunOptions) {
    this.#context = new Context(world, program, prefix);
    this.#caller = new Caller(this.#context);
    this.#writer = new Writer(this.#context, this.#caller);
    this.#watchers = new Watchers(this.#context);
    this.#clients = new Clients(this.#context, opens);
    this.#faults = new Faults(this.#context);
    this.#backups = new Backups(this.#context, this.#caller, this.#writer, this.#watchers, this.#clients);
    this.#settleMs = settleMs;
    noteForgotten(this.#context);
    this.#rotates = program.some((round) => round.some((action) => action.do === "rotate"));
  }

  get history(): readonly Entry[] {
    return this.#context.recorder.entries;
  }

  async round(actions: readonly Action[]): Promise<void> {
    // Two changes of rights at once would leave open which of them holds.
    const access = actions.find((action) => ACCESS.has(action.do));
    const chosen = actions.filter((action) => !ACCESS.has(action.do) || action === access);
    const outcomes = await Promise.allSettled(chosen.map((action) => this.#inTurn(action)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  /** One watcher, or client of ours, does one thing at a time: it has one stream. */
  #inTurn(action: Action): Promise<void> {
    if (!("watcher" in action || "handle" in action)) return this.#act(action);
    const who = "watcher" in action ? `watcher ${action.watcher}` : `client ${action.handle}`;
    const before = this.#turns.get(who) ?? Promise.resolve();
    const turn = before.then(() => this.#act(action));
    this.#turns.set(
      who,
      turn.catch(() => {}),
    );
    return turn;
  }

  async #act(action: Action): Promise<void> {
    const name = "name" in action ? this.#context.name(action.name) : "";
    switch (action.do) {
      case "put":
        return this.#writer.put(action);
      case "disable":
      case "enable":
      case "destroy":
        return this.#writer.change(name, { op: action.do, slot: BigInt(action.slot) }, action.server);
      case "update":
        return this.#writer.update(name, action.server);
      case "delete":
        return this.#writer.change(name, { op: "delete" }, action.server);
      case "get":
      case "describe":
      case "list":
        return this.#caller.call(action.by, name, { op: action.do }, action.server);
      case "at":
        return this.#caller.call(action.by, name, { op: "at", at: BigInt(action.at) }, action.server);
      case "again":
        return this.#writer.again(action);
      case "watch":
        return this.#watchers.watch(action.watcher, action.server, {
          rpc: "secret",
          names: [name],
          view: "all",
          allowMissing: action.allowMissing,
        });
      case "watch-slots":
        return this.#watchers.watch(action.watcher, action.server, {
          rpc: "slots",
          names: action.both ? this.#context.names : this.#context.names.slice(0, 1),
          view: action.view,
          allowMissing: action.allowMissing,
        });
      case "cancel":
        return this.#watchers.cancel(action.watcher);
      case "stall":
        return this.#watchers.stall(action.watcher);
      case "flow":
        return this.#watchers.flow(action.watcher);
      case "resume":
        return this.#watchers.resume(action);
      case "flood":
        return this.#flood(action);
      case "open":
        return this.#clients.open(action);
      case "look":
        return this.#clients.look(action.handle);
      case "close":
        return this.#clients.close(action.handle);
      case "revoke":
      case "ungrant":
      case "grant":
        return changeRights(this.#context, action);
      case "kill":
      case "kill-worker":
      case "stop":
      case "cut":
        return this.#clients.lookBeside(this.#faults.cause(action));
      case "epoch":
        return this.#clients.lookBeside(this.#faults.newEpoch());
      case "rotate":
      case "checkpoint":
      case "clock":
      case "hold":
        return upkeep(this.#context, action);
      case "backup":
        return this.#backups.make(action.server);
      case "forget":
        return forget(this.#context);
      case "restore":
        return this.#clients.lookBeside(this.#backups.restore());
    }
  }

  async #flood({ watcher, server }: Action & { do: "flood" }): Promise<void> {
    const watch = this.#watchers.reading(watcher)?.watch;
    if (watch?.rpc !== "secret") return;
    this.#watchers.stall(watcher);
    await this.#writer.flood(watch.names[0] ?? "", server);
  }

  async settle(): Promise<void> {
    if (this.#rotates) await finishRotation(this.#context);
    await settle({
      context: this.#context,
      caller: this.#caller,
      watchers: this.#watchers,
      clients: this.#clients,
      settleMs: this.#settleMs,
    });
  }

  /** For the validators of what is promised within a time. */
  async noteLateness(): Promise<void> {
    if (machineMs() - this.#beganMs < SHORTEST_PROMISE_MS) return;
    const { world, recorder } = this.#context;
    for (const late of await world.machine.late(this.#beganMs)) recorder.add({ type: "late", ...late });
  }

  async end(): Promise<void> {
    await this.#faults.over();
    await this.#watchers.cancelAll();
    await this.#clients.closeAll();
    await this.#context.world.tidy();
  }
}
