import fc from "fast-check";

/** Calls name secrets, slots, clients and servers by small numbers, so that a program means the same wherever it runs. */
export type Action =
  | {
      readonly do: "put";
      readonly name: number;
      /** Null: the next index. */
      readonly slot: string | null;
      /** `same`: what was last put there. */
      readonly value: "new" | "same" | "empty" | "large";
      readonly overwrite: boolean;
      readonly disabled: boolean;
      readonly expected: "none" | "right" | "stale" | "zero";
      readonly server: number;
    }
  | {
      readonly do: "disable" | "enable" | "destroy";
      readonly name: number;
      readonly slot: string;
      readonly server: number;
    }
  | {
      readonly do: "update" | "delete" | "get" | "describe" | "list";
      readonly name: number;
      readonly by: number;
      readonly server: number;
    }
  | {
      readonly do: "at";
      readonly name: number;
      readonly at: string;
      readonly by: number;
      readonly server: number;
    }
  /** Repeats an earlier mutation under its request id; `otherwise` with another content. */
  | { readonly do: "again"; readonly back: number; readonly otherwise: boolean; readonly server: number }
  | {
      readonly do: "watch";
      readonly watcher: number;
      readonly name: number;
      readonly allowMissing: boolean;
      readonly server: number;
    }
  | {
      readonly do: "watch-slots";
      readonly watcher: number;
      readonly both: boolean;
      readonly view: "all" | "current";
      readonly allowMissing: boolean;
      readonly server: number;
    }
  | { readonly do: "cancel" | "stall" | "flow"; readonly watcher: number }
  | {
      readonly do: "resume";
      readonly watcher: number;
      readonly token: "right" | "old" | "future" | "diverged" | "foreign" | "garbage";
      readonly pick: number;
      readonly server: number;
    }
  /** A client of ours follows a secret, or both, from here on; it may take until they have a value. */
  | {
      readonly do: "open";
      readonly handle: number;
      readonly both: boolean;
      readonly view: "all" | "current";
      readonly server: number;
    }
  /** Asks it what it has; ends it. */
  | { readonly do: "look" | "close"; readonly handle: number }
  /** Stalls a watcher and then writes more to its secret than the transport holds. */
  | { readonly do: "flood"; readonly watcher: number; readonly server: number }
  | { readonly do: "revoke" | "ungrant" | "grant"; readonly client: number; readonly server: number }
  | {
      /** `kill-worker`: one of a server's workers, or the server if it has none. */
      readonly do: "kill" | "kill-worker" | "stop" | "cut";
      readonly server: number;
      readonly afterMs: number;
    }
  | { readonly do: "epoch" }
  /** The changes so far become too old to be kept; nothing else happens in its round. */
  | { readonly do: "forget" }
  | { readonly do: "rotate"; readonly server: number }
  | { readonly do: "backup"; readonly server: number }
  | { readonly do: "checkpoint"; readonly mode: "PASSIVE" | "RESTART" | "TRUNCATE" }
  /** The servers' clock, from here on that far from the real one. */
  | { readonly do: "clock"; readonly offsetMs: number }
  | { readonly do: "hold"; readonly server: number; readonly ms: number }
  /** Back to the last backup; nothing else happens in its round. */
  | { readonly do: "restore" };

/** Rounds one after the other; the actions of one round all at once. */
export type Program = readonly (readonly Action[])[];

const SLOTS = ["0", "3", "5", "9007199254740993", "9223372036854775807"];

const name = fc.integer({ min: 0, max: 1 });
const server = fc.integer({ min: 0, max: 1 });
const by = fc.integer({ min: 0, max: 2 });
const watcher = fc.integer({ min: 0, max: 2 });
const client = fc.integer({ min: 1, max: 2 });
const handle = fc.integer({ min: 0, max: 1 });
const slot = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...SLOTS.slice(0, 3)) },
  { weight: 1, arbitrary: fc.constantFrom(...SLOTS.slice(3)) },
);

const put = fc.record({
  do: fc.constant("put" as const),
  name,
  slot: fc.oneof({ weight: 5, arbitrary: slot }, { weight: 1, arbitrary: fc.constant(null) }),
  value: fc.oneof(
    { weight: 12, arbitrary: fc.constant("new" as const) },
    { weight: 3, arbitrary: fc.constant("same" as const) },
    { weight: 1, arbitrary: fc.constantFrom("empty" as const, "large" as const) },
  ),
  overwrite: fc.boolean(),
  disabled: fc.boolean(),
  expected: fc.oneof(
    { weight: 7, arbitrary: fc.constant("none" as const) },
    { weight: 1, arbitrary: fc.constantFrom("right" as const, "stale" as const, "zero" as const) },
  ),
  server,
});
// An overwrite always enables, whatever it asks for.
const anyPut = put.map((action) => ({
  ...action,
  disabled: action.disabled && !action.overwrite && action.slot !== "0",
}));

const state = fc.record({
  do: fc.constantFrom("disable", "disable", "enable", "enable", "destroy"),
  name,
  slot,
  server,
});
const whole = fc.record({ do: fc.constantFrom("update", "delete"), name, by: fc.constant(0), server });
const read = fc.record({ do: fc.constantFrom("get", "get", "describe", "list"), name, by, server });
const at = fc.record({
  do: fc.constant("at"),
  name,
  at: fc.constantFrom("0", "2", "3", "4", "5", "9007199254740992"),
  by,
  server,
});
const again = fc.record({
  do: fc.constant("again"),
  back: fc.nat(5),
  otherwise: fc.nat(9).map((n) => n === 0),
  server,
});
const watch = fc.record({
  do: fc.constant("watch"),
  watcher,
  name,
  allowMissing: fc.nat(3).map((n) => n > 0),
  server,
});
const watchSlots = fc.record({
  do: fc.constant("watch-slots"),
  watcher,
  both: fc.boolean(),
  view: fc.constantFrom("all", "all", "current"),
  allowMissing: fc.nat(3).map((n) => n > 0),
  server,
});
const ear = fc.record({ do: fc.constantFrom("cancel", "stall", "flow"), watcher });
const resume = fc.record({
  do: fc.constant("resume"),
  watcher,
  token: fc.constantFrom(
    "right",
    "right",
    "right",
    "right",
    "old",
    "old",
    "future",
    "diverged",
    "foreign",
    "garbage",
  ),
  pick: fc.nat(7),
  server,
});
const open = fc.record({
  do: fc.constant("open"),
  handle,
  both: fc.nat(2).map((n) => n === 0),
  view: fc.constantFrom("all", "all", "current"),
  server,
});
const look = fc.record({ do: fc.constantFrom("look", "look", "close"), handle });
const flood = fc.record({ do: fc.constant("flood"), watcher, server });
const access = fc.record({ do: fc.constantFrom("revoke", "ungrant", "grant"), client, server });
const cut = fc.record({ do: fc.constant("cut"), server, afterMs: fc.nat(6) });
const rotate = fc.record({ do: fc.constant("rotate"), server });
const checkpoint = fc.record({
  do: fc.constant("checkpoint"),
  mode: fc.constantFrom("PASSIVE", "RESTART", "TRUNCATE"),
});
// Less than the 24 hours for which request ids are kept.
const clock = fc.record({
  do: fc.constant("clock"),
  offsetMs: fc.constantFrom(0, -3_600_000, -5_000, 5_000, 3_600_000),
});
const hold = fc.record({ do: fc.constant("hold"), server, ms: fc.nat(30) });
const fault = fc.record({
  do: fc.constantFrom("kill", "kill", "kill-worker", "stop"),
  server,
  afterMs: fc.nat(8),
});

const action = fc.oneof(
  { weight: 14, arbitrary: anyPut },
  { weight: 5, arbitrary: state },
  { weight: 2, arbitrary: whole },
  { weight: 5, arbitrary: read },
  { weight: 3, arbitrary: at },
  { weight: 2, arbitrary: again },
  { weight: 5, arbitrary: watch },
  { weight: 4, arbitrary: watchSlots },
  { weight: 2, arbitrary: ear },
  { weight: 5, arbitrary: resume },
  { weight: 4, arbitrary: open },
  { weight: 2, arbitrary: look },
  { weight: 1, arbitrary: access },
  { weight: 1, arbitrary: cut },
  { weight: 1, arbitrary: hold },
  { weight: 1, arbitrary: checkpoint },
  { weight: 1, arbitrary: clock },
) as fc.Arbitrary<Action>;

/** What a program does more often than usual. */
export type Emphasis =
  | "calls"
  | "watches"
  | "resumes"
  | "sets"
  | "rights"
  | "rebirth"
  | "flood"
  | "storm"
  | "epoch"
  | "keys"
  | "files"
  | "clock"
  | "restore"
  | "forget"
  | "clients";

const rare = fc.oneof(
  { weight: 500, arbitrary: action },
  { weight: 1, arbitrary: flood as fc.Arbitrary<Action> },
  { weight: 1, arbitrary: rotate as fc.Arbitrary<Action> },
);
const round = fc.oneof(
  { weight: 3, arbitrary: fc.array(rare, { minLength: 1, maxLength: 1 }) },
  { weight: 2, arbitrary: fc.array(rare, { minLength: 2, maxLength: 4 }) },
);
const rounds = (max: number) => fc.array(round, { minLength: 1, maxLength: max });

/** Nobody dies. */
export const calmProgram: fc.Arbitrary<Program> = rounds(14);

const besideFault = fc.oneof(
  { weight: 12, arbitrary: action },
  { weight: 1, arbitrary: rotate as fc.Arbitrary<Action> },
);

/** One or two servers die on the way, in the middle of a round or between two. */
export const stormyProgram: fc.Arbitrary<Program> = fc
  .tuple(
    rounds(7),
    fc.array(fc.tuple(fc.array(besideFault, { maxLength: 4 }), fault), { minLength: 1, maxLength: 2 }),
    rounds(5),
  )
  .map(([before, faults, after]) => [
    ...before,
    ...faults.map(([others, dying]) => [...others, dying as Action]),
    ...after,
  ]);

/** The store begins a new epoch on the way. */
export const epochProgram: fc.Arbitrary<Program> = fc
  .tuple(rounds(7), rounds(7))
  .map(([before, after]) => [...before, [{ do: "epoch" }], ...after]);

/** The store goes back to a backup that was made beside other calls. */
export const restoreProgram: fc.Arbitrary<Program> = fc
  .tuple(rounds(6), server, fc.array(action, { maxLength: 3 }), rounds(5), rounds(5))
  .map(([before, by, beside, lost, after]) => [
    ...before,
    [{ do: "backup", server: by }, ...beside.filter(({ do: what }) => what !== "cut")],
    ...lost,
    [{ do: "restore" }],
    ...after,
  ]);

const often = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<Program> => {
  const chosen = fc.oneof(
    { weight: 1, arbitrary: action },
    { weight: 2, arbitrary: arbitrary as fc.Arbitrary<Action> },
  );
  return fc.array(fc.array(chosen, { minLength: 1, maxLength: 3 }), { minLength: 6, maxLength: 16 });
};
const first = { watcher: fc.constant(0), name: fc.constant(0), server, allowMissing: fc.constant(true) };
const watchFirst = fc.record({ do: fc.constant("watch" as const), ...first });
const putFirst = put.map((one) => ({ ...one, name: 0, slot: "0", value: "new" as const, disabled: false }));

const openFirst = fc.record({
  do: fc.constant("open" as const),
  handle,
  both: fc.constant(false),
  view: fc.constantFrom("all" as const, "current" as const),
  server: fc.constant(0),
});
const nextPut = anyPut.map((one) => ({ ...one, slot: null }));

/** What happened is forgotten on the way; whoever watched goes on with old tokens. */
const forgetProgram: fc.Arbitrary<Program> = fc
  .tuple(putFirst, watchFirst, rounds(6), often(fc.oneof(anyPut, watch, watchSlots, resume, resume, whole)))
  .map(([putting, watching, before, after]) => [
    [putting],
    [watching],
    ...before,
    [{ do: "forget" }],
    ...after,
  ]);

/** Programs that meet one kind of mistake soon. */
export const EMPHASISED: Readonly<Record<Emphasis, fc.Arbitrary<Program>>> = {
  calls: often(fc.oneof(anyPut, anyPut, nextPut, state, read, at, again)),
  watches: often(fc.oneof(anyPut, anyPut, state, whole, watch)),
  resumes: often(fc.oneof(anyPut, anyPut, watch, ear, resume, resume)),
  sets: often(fc.oneof(anyPut, anyPut, state, watchSlots, resume)),
  rights: often(fc.oneof(anyPut, watch, access, access, read)),
  rebirth: fc
    .tuple(watchFirst, putFirst, rounds(3), anyPut)
    .map(([watching, putting, between, anew]) => [
      [putting],
      [watching],
      ...between,
      [{ do: "cancel", watcher: 0 }],
      [{ do: "delete", name: 0, by: 0, server: 0 }],
      [{ ...anew, name: 0 }],
      [{ do: "resume", watcher: 0, token: "right", pick: 2, server: 0 }],
    ]),
  flood: fc
    .tuple(watchFirst, putFirst, flood, fc.array(round, { maxLength: 3 }))
    .map(([watching, putting, flooding, after]) => [
      [putting],
      [watching, { ...watching, watcher: 1 }],
      [{ ...putting, slot: "3" }],
      [{ ...flooding, watcher: 0 }],
      [{ ...putting, slot: String(2n ** 62n + 1n) }],
      ...after,
    ]),
  storm: stormyProgram,
  epoch: epochProgram,
  keys: often(fc.oneof(anyPut, anyPut, rotate, read)),
  files: often(fc.oneof(anyPut, anyPut, checkpoint, read, watch)),
  clock: often(fc.oneof(anyPut, clock, clock, again, read, watch)),
  restore: restoreProgram,
  forget: forgetProgram,
  clients: fc
    .tuple(
      putFirst,
      openFirst,
      rounds(4),
      often(fc.oneof(anyPut, anyPut, state, cut, look)),
      fault,
      rounds(3),
    )
    .map(([putting, opening, before, cuts, dying, after]) => [
      [putting],
      [opening],
      ...before,
      ...cuts,
      [dying as Action],
      ...after,
    ]),
};

/** The programs of a kind that somebody named. */
export function programsOf(emphasis: string): fc.Arbitrary<Program> {
  if (Object.hasOwn(EMPHASISED, emphasis)) return EMPHASISED[emphasis as Emphasis];
  throw new Error(`SLOTS_TEST_EMPHASIS: '${emphasis}' is none of ${Object.keys(EMPHASISED).join(", ")}`);
}

/** What is run by default: mostly calm, for a restart takes as long as ten calm ones. */
export const program: fc.Arbitrary<Program> = fc.oneof(
  { weight: 390, arbitrary: calmProgram },
  { weight: 8, arbitrary: stormyProgram },
  { weight: 1, arbitrary: epochProgram },
  { weight: 1, arbitrary: restoreProgram },
  { weight: 2, arbitrary: forgetProgram },
);
