import type {
  Access,
  Answers,
  Applied,
  Call,
  End,
  Entry,
  Event,
  Fault,
  Following,
  Watch,
} from "./history.ts";
import type { Answer, Op } from "./model.ts";

/** Histories written by hand: each line happens after the one before it, unless it says otherwise. */
export class Script {
  readonly entries: Entry[] = [];
  #now = 0;

  /** A put of a new slot in `a` that was answered. */
  put(slot: bigint, value: string, revision: bigint, more: Partial<Call> = {}): this {
    const op: Op = { op: "put", slot, value, overwrite: true, disabled: false };
    const answer = { code: "OK", slot, state: "enabled", created: true, current: slot, revision } as const;
    return this.call(op, answer, more);
  }

  disable(slot: bigint, revision: bigint): this {
    const answer = { code: "OK", slot, state: "disabled", slotRevision: revision, revision } as const;
    return this.call({ op: "disable", slot }, answer);
  }

  delete(revision: bigint): this {
    return this.call({ op: "delete" }, { code: "OK", revision });
  }

  get(slot: bigint, value: string, revision: bigint, more: Partial<Call> = {}): this {
    return this.call({ op: "get" }, { code: "OK", slot, value, revision }, more);
  }

  call(op: Op, answer: Answer, more: Partial<Call> = {}): this {
    const [start, end] = [this.#tick(), this.#tick()];
    return this.#add({
      type: "call",
      start,
      end,
      name: "a",
      client: 0,
      token: 0,
      op,
      answer,
      epoch: "e1",
      ...more,
    });
  }

  watch(stream: number, more: Partial<Watch> = {}): this {
    const at = this.#tick();
    return this.#add({
      type: "watch",
      at,
      ms: at,
      stream,
      watcher: 1,
      client: 1,
      token: 0,
      rpc: "secret",
      names: ["a"],
      view: "all",
      allowMissing: true,
      ...more,
    });
  }

  slots(stream: number, names: readonly string[] = ["a"], more: Partial<Watch> = {}): this {
    return this.watch(stream, { rpc: "slots", names, ...more });
  }

  /** Goes on with what the event of number `from`, counted from 0 among all events, gave. */
  resume(
    stream: number,
    from: number,
    kind: NonNullable<Watch["resume"]>["kind"] = "right",
    more: Partial<Watch> = {},
  ): this {
    const events = this.entries.filter((entry) => entry.type === "event");
    return this.watch(stream, { ...more, resume: { kind, from: events[from]?.at ?? -1 } });
  }

  current(stream: number, slot: bigint, value: string, revision: bigint, more: Partial<Event> = {}): this {
    return this.event(stream, "current", revision, { name: "a", slot, value, ...more });
  }

  absent(stream: number, revision: bigint, reason = "NOT_EXISTING", more: Partial<Event> = {}): this {
    return this.event(stream, "absent", revision, { name: "a", reason, ...more });
  }

  event(stream: number, kind: Event["kind"], revision: bigint, more: Partial<Event> = {}): this {
    const at = this.#tick();
    return this.#add({
      type: "event",
      at,
      ms: at,
      stream,
      kind,
      epoch: "e1",
      revision,
      hasToken: true,
      ...more,
    });
  }

  end(stream: number, code: string, reason = code, more: Partial<End> = {}): this {
    const at = this.#tick();
    return this.#add({ type: "end", at, ms: at, stream, code, reason, cancelled: false, ...more });
  }

  fault(kind: Fault): this {
    return this.#add({ type: "fault", at: this.#tick(), kind, server: 0 });
  }

  access(what: Access["what"], revision: bigint): this {
    const [start, end] = [this.#tick(), this.#tick()];
    return this.#add({ type: "access", start, end, ms: end, what, client: 1, token: 0, revision });
  }

  ear(type: "stall" | "flow", stream: number): this {
    const at = this.#tick();
    return this.#add({ type, at, ms: at, stream });
  }

  settled(...open: readonly number[]): this {
    const at = this.#tick();
    return this.#add({ type: "settled", at, ms: at, quietMs: at, open, handles: [] });
  }

  /** As `settled`, with the last write at `quietMs` and the end of the wait at `ms`. */
  settledLate(quietMs: number, ms: number, ...open: readonly number[]): this {
    return this.#add({ type: "settled", at: this.#tick(), ms, quietMs, open, handles: [] });
  }

  /** As `settledLate`, for client 1 on `a`, which was there from the beginning. */
  settledClient(quietMs: number, ms: number, more: Partial<Following> = {}): this {
    const handles = [{ handle: 1, names: ["a"], view: "all" as const, ms: 0, ...more }];
    return this.#add({ type: "settled", at: this.#tick(), ms, quietMs, open: [], handles });
  }

  /** The machine was this late, until `end`. */
  late(end: number, ms: number): this {
    return this.#add({ type: "late", end, ms });
  }

  backup(revision: bigint): this {
    const [start, end] = [this.#tick(), this.#tick()];
    return this.#add({ type: "backup", start, end, revision, epoch: "e1" });
  }

  restore(revision: bigint): this {
    return this.#add({ type: "restore", at: this.#tick(), revision });
  }

  forgotten(floor: bigint): this {
    return this.#add({ type: "forgotten", at: this.#tick(), floor });
  }

  rotated(left: number): this {
    return this.#add({ type: "rotated", at: this.#tick(), left });
  }

  /** Client 1 shows a state of `a`. */
  applied(revision: bigint, slots: Applied["slots"], more: Partial<Applied> = {}): this {
    const at = this.#tick();
    const client = { handle: 1, name: "a", view: "all", epoch: "e1" } as const;
    return this.#add({ type: "applied", at, ms: at, ...client, revision, slots, ...more });
  }

  /** Client 1 is asked for `a`. */
  answers(revision: bigint, more: Partial<Answers> = {}): this {
    const at = this.#tick();
    const client = { handle: 1, name: "a", epoch: "e1", ok: true, ageMs: 0 };
    return this.#add({ type: "answers", at, ms: at, ...client, revision, ...more });
  }

  #tick(): number {
    return ++this.#now;
  }

  #add(entry: Entry): this {
    this.entries.push(entry);
    return this;
  }
}

export const script = (): Script => new Script();
