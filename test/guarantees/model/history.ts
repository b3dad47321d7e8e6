import type { Answer, Op } from "./model.ts";
import type { Timeline } from "./timeline.ts";

/**
 * What happened in one run, as one process saw it. `start`, `end` and `at` count up by one for each thing that
 * happens, so that "before" is exact; `ms` is a clock, for how long things took.
 */
export type Entry =
  | Call
  | Watch
  | Event
  | End
  | { readonly type: "fault"; readonly at: number; readonly kind: Fault; readonly server: number }
  | Access
  | {
      readonly type: "stall" | "flow";
      readonly at: number;
      readonly ms: number;
      readonly stream: number;
    }
  | Settled
  | Applied
  | Backup
  | Restore
  | Restored
  | Late
  /** The changes up to `floor`, and the deletions among them, are forgotten from here on. */
  | { readonly type: "forgotten"; readonly at: number; readonly floor: bigint }
  | { readonly type: "upkeep"; readonly at: number; readonly what: string }
  /** Nobody wrote while everything was rewrapped: this many records are wrapped by another key than the primary. */
  | { readonly type: "rotated"; readonly at: number; readonly left: number }
  | Answers;

export type Fault = "kill" | "stop" | "epoch" | "cut";

/** A call that was answered. One that broke off was asked again with the same request id: `start` is the first time. */
export interface Call {
  readonly type: "call";
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Who called, with which of its tokens. */
  readonly client: number;
  readonly token: number;
  readonly op: Op;
  readonly answer: Answer;
  readonly epoch?: string;
}

/** A stream was opened. */
export interface Watch {
  readonly type: "watch";
  readonly at: number;
  readonly ms: number;
  readonly stream: number;
  /** Who goes on from stream to stream. */
  readonly watcher: number;
  readonly client: number;
  readonly token: number;
  readonly rpc: "secret" | "slots";
  readonly names: readonly string[];
  readonly view: "all" | "current";
  readonly allowMissing: boolean;
  readonly resume?: Resume;
}

/** Where a resume token came from and what was done to it. `lost`: it is of before a restore, or of what is forgotten. */
export interface Resume {
  readonly kind: "right" | "old" | "future" | "diverged" | "foreign" | "garbage" | "lost";
  /** The `at` of the event that carried it. */
  readonly from: number;
}

export interface Event {
  readonly type: "event";
  readonly at: number;
  readonly ms: number;
  readonly stream: number;
  readonly kind:
    | "current"
    | "absent"
    | "progress"
    | "history_reset"
    | "begin"
    | "slot"
    | "removed"
    | "failed"
    | "synced";
  readonly epoch: string;
  readonly revision: bigint;
  readonly hasToken: boolean;
  readonly name?: string;
  readonly slot?: bigint;
  readonly value?: string;
  readonly reason?: string;
}

export interface End {
  readonly type: "end";
  readonly at: number;
  readonly ms: number;
  readonly stream: number;
  readonly code: string;
  readonly reason: string;
  /** We ended it. */
  readonly cancelled: boolean;
}

/** Rights were taken or given. `token`: that token of the client is gone; `grant`: the client may not; `back`: it may. */
export interface Access {
  readonly type: "access";
  readonly start: number;
  readonly end: number;
  readonly ms: number;
  readonly what: "token" | "grant" | "back";
  readonly client: number;
  readonly token: number;
  readonly revision: bigint;
}

/** Writes stopped at `quietMs`; from then on it was waited until every stream in `open` had caught up, or a bound. */
export interface Settled {
  readonly type: "settled";
  readonly at: number;
  readonly ms: number;
  readonly quietMs: number;
  readonly open: readonly number[];
  readonly handles: readonly Following[];
}

/** A client of ours that follows secrets. */
export interface Following {
  readonly handle: number;
  readonly names: readonly string[];
  readonly view: "all" | "current";
  /** Since when. */
  readonly ms: number;
  /** When its stream, or an attempt at one, last ended by itself. */
  readonly downMs?: number;
}

/** A client of ours has a first state of a secret, or showed a change to its program. */
export interface Applied {
  readonly type: "applied";
  readonly at: number;
  readonly ms: number;
  readonly handle: number;
  readonly name: string;
  readonly view: "all" | "current";
  readonly epoch: string;
  readonly revision: bigint;
  readonly slots: readonly (readonly [slot: bigint, value: string])[];
  readonly absent?: string;
  /** The state whose place it took; none for the first. */
  readonly previous?: { readonly epoch: string; readonly revision: bigint };
}

/** A client of ours was asked for what it has. */
export interface Answers {
  readonly type: "answers";
  readonly at: number;
  readonly ms: number;
  readonly handle: number;
  readonly name: string;
  /** Whether it gave the value, or the absence, of the state that it has. */
  readonly ok: boolean;
  readonly epoch: string;
  readonly revision: bigint;
  /** How long ago it heard the server, as it says. */
  readonly ageMs: number | undefined;
  /** It cannot have heard the server since, for nobody was let through. */
  readonly unheardSince?: number;
}

/** A copy of the store was made, of the state that `revision` made. */
export interface Backup {
  readonly type: "backup";
  readonly start: number;
  readonly end: number;
  readonly revision: bigint;
  readonly epoch: string;
}

/** The store is as it was at `revision` from here on; nothing was under way. */
export interface Restore {
  readonly type: "restore";
  readonly at: number;
  readonly revision: bigint;
}

/** What an era that a restore began has from before (`eras.ts`); never part of a history that is recorded. */
export interface Restored {
  readonly type: "restored";
  readonly at: number;
  readonly revision: bigint;
  readonly lines: ReadonlyMap<string, Timeline>;
  /** That were before it. */
  readonly epochs: ReadonlySet<string>;
}

/** The machine let a server, the test or the disk go on only so many milliseconds after its time, at `end`. */
export interface Late {
  readonly type: "late";
  readonly end: number;
  readonly ms: number;
}

/** A promise that was broken, by its number in `docs/guarantees.md`, and where it shows. */
export interface Violation {
  readonly promise: string;
  readonly text: string;
  readonly at: number;
}

export type Validator = (history: readonly Entry[]) => readonly Violation[];

/** Collects a history. Entries appear in the order in which they ended. */
export class Recorder {
  readonly entries: Entry[] = [];
  #ticks = 0;

  tick(): number {
    return ++this.#ticks;
  }

  add<T extends Entry>(entry: T): T {
    this.entries.push(entry);
    return entry;
  }
}

export function toJsonLines(history: readonly Entry[]): string {
  return history
    .map((entry) => `${JSON.stringify(entry, (_, v) => (typeof v === "bigint" ? `${v}n` : v))}\n`)
    .join("");
}

export function fromJsonLines(text: string): Entry[] {
  const revive = (_: string, v: unknown) =>
    typeof v === "string" && /^-?\d+n$/.test(v) ? BigInt(v.slice(0, -1)) : v;
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line, revive) as Entry);
}
