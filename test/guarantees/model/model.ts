/**
 * The store as its promises have it: what one secret is, what each call answers, what a watcher is shown. Pure, and
 * written from `docs/guarantees.md` and the comments of the .proto files alone, so that it can be wrong about the
 * server only where the promises are.
 */

export type SlotState = "enabled" | "disabled" | "destroyed";

export interface Slot {
  readonly state: SlotState;
  /** None once destroyed. */
  readonly value: string | undefined;
  /** The commit that wrote this version. */
  readonly written: bigint;
  /** The commit that last changed the slot. */
  readonly changed: bigint;
}

/** What a watcher of one secret is shown. */
export type Shown =
  | { readonly kind: "current"; readonly slot: bigint; readonly value: string; readonly revision: bigint }
  | {
      readonly kind: "absent";
      readonly reason: "NOT_EXISTING" | "NO_ENABLED_SLOT";
      readonly revision: bigint;
    };

export interface Secret {
  readonly exists: boolean;
  /** The last change; of a secret that was deleted, the deletion. */
  readonly revision: bigint;
  readonly comment: string;
  readonly slots: ReadonlyMap<bigint, Slot>;
  readonly shown: Shown;
}

export type Op =
  | {
      readonly op: "put";
      /** Absent: the next index. */
      readonly slot?: bigint;
      readonly value: string;
      readonly overwrite: boolean;
      readonly disabled: boolean;
      readonly expected?: bigint;
      readonly id?: string;
    }
  | { readonly op: "disable" | "enable" | "destroy"; readonly slot: bigint; readonly id?: string }
  | { readonly op: "update"; readonly comment: string; readonly id?: string }
  | { readonly op: "delete"; readonly id?: string }
  | { readonly op: "get" | "describe" | "list" }
  | { readonly op: "at"; readonly at: bigint };

/** An answer's fields by name; those that hold revisions end in "evision" or "evisions". */
export type Answer =
  | { readonly code: "OK"; readonly [field: string]: unknown }
  | { readonly code: string; readonly reason: string };

export const NEW_SECRET: Secret = {
  exists: false,
  revision: 0n,
  comment: "",
  slots: new Map(),
  shown: { kind: "absent", reason: "NOT_EXISTING", revision: 0n },
};

const MAX = 2n ** 63n - 1n;
const fail = (code: string, reason: string): Answer => ({ code, reason });

/** The enabled slot with the largest number at or below `at`. */
export function effective(secret: Secret, at: bigint = MAX): bigint | undefined {
  let best: bigint | undefined;
  for (const [number, { state }] of secret.slots) {
    if (state === "enabled" && number <= at && (best === undefined || number > best)) best = number;
  }
  return best;
}

/** What a call did. */
export interface Step {
  readonly secret: Secret;
  readonly answer: Answer;
  /** False: the call changes nothing, so no commit is its own. */
  readonly changed: boolean;
}

/** What `op` does to `secret`, as commit `revision` should it change anything. */
export function step(secret: Secret, op: Op, revision: bigint): Step {
  const unchanged = (answer: Answer): Step => ({ secret, answer, changed: false });
  if (op.op === "put") return put(secret, op, revision);
  if (!secret.exists) return unchanged(fail("NOT_FOUND", "SECRET_NOT_FOUND"));
  switch (op.op) {
    case "disable":
    case "enable":
    case "destroy": {
      const slot = secret.slots.get(op.slot);
      const to = ({ disable: "disabled", enable: "enabled", destroy: "destroyed" } as const)[op.op];
      if (slot === undefined) return unchanged(fail("NOT_FOUND", "SLOT_NOT_FOUND"));
      if (slot.state !== to && slot.state === "destroyed") {
        return unchanged(fail("FAILED_PRECONDITION", "SLOT_DESTROYED"));
      }
      const answer = (after: Secret) => ({
        code: "OK" as const,
        slot: op.slot,
        state: to,
        slotRevision: after.slots.get(op.slot)?.changed,
        revision: after.revision,
      });
      if (slot.state === to) return unchanged(answer(secret));
      const value = to === "destroyed" ? undefined : slot.value;
      const slots = new Map(secret.slots).set(op.slot, { ...slot, state: to, value, changed: revision });
      const after = shownAnew({ ...secret, slots, revision });
      return { secret: after, answer: answer(after), changed: true };
    }
    case "update": {
      const after = { ...secret, comment: op.comment, revision };
      return { secret: after, answer: { code: "OK", comment: op.comment, revision }, changed: true };
    }
    case "delete": {
      const shown = { kind: "absent", reason: "NOT_EXISTING", revision } as const;
      return { secret: { ...NEW_SECRET, revision, shown }, answer: { code: "OK", revision }, changed: true };
    }
    case "get":
    case "at": {
      const at = op.op === "at" ? op.at : MAX;
      const slot = effective(secret, at);
      if (slot === undefined) return unchanged(fail("NOT_FOUND", "NO_EFFECTIVE_SLOT"));
      const value = secret.slots.get(slot)?.value;
      return unchanged({
        code: "OK",
        slot,
        value,
        revision: secret.revision,
        ...(op.op === "at" ? { at } : {}),
      });
    }
    case "describe": {
      const count = (wanted: SlotState) =>
        [...secret.slots.values()].filter(({ state }) => state === wanted).length;
      return unchanged({
        code: "OK",
        comment: secret.comment,
        counts: [count("enabled"), count("disabled"), count("destroyed")],
        current: effective(secret),
        revision: secret.revision,
      });
    }
    case "list": {
      const slots = [...secret.slots].sort(([a], [b]) => (a < b ? -1 : 1));
      return unchanged({
        code: "OK",
        slots: slots.map(([number, { state, value }]) => [number, state, size(value ?? "")]),
        slotRevisions: slots.map(([, { changed }]) => changed),
      });
    }
  }
}

function put(secret: Secret, op: Op & { op: "put" }, revision: bigint): Step {
  const unchanged = (answer: Answer): Step => ({ secret, answer, changed: false });
  const largest = [...secret.slots.keys()].reduce((a, b) => (a > b ? a : b), -1n);
  const number = op.slot ?? largest + 1n;
  if (number > MAX) return unchanged(fail("FAILED_PRECONDITION", "SLOT_NUMBERS_EXHAUSTED"));
  const old = secret.slots.get(number);
  const answer = (after: Secret) => ({
    code: "OK" as const,
    slot: number,
    state: after.slots.get(number)?.state,
    created: old === undefined,
    current: effective(after),
    revision: after.slots.get(number)?.written,
  });
  if (old !== undefined && old.value === op.value) return unchanged(answer(secret));
  if (op.expected !== undefined && op.expected !== (secret.exists ? secret.revision : 0n)) {
    return unchanged(fail("ABORTED", "REVISION_MISMATCH"));
  }
  if (old !== undefined && !op.overwrite) {
    return unchanged(fail("ALREADY_EXISTS", old.state === "destroyed" ? "SLOT_DESTROYED" : "SLOT_EXISTS"));
  }
  const state = op.disabled ? "disabled" : "enabled";
  const slot: Slot = { state, value: op.value, written: revision, changed: revision };
  const after = shownAnew({
    ...secret,
    exists: true,
    slots: new Map(secret.slots).set(number, slot),
    revision,
  });
  return { secret: after, answer: answer(after), changed: true };
}

/** Moves what is shown when the change at `secret.revision` made it another (W11). */
function shownAnew(secret: Secret): Secret {
  const slot = effective(secret);
  const { shown, revision } = secret;
  if (slot === undefined) {
    if (shown.kind === "absent" && shown.reason === "NO_ENABLED_SLOT") return secret;
    return { ...secret, shown: { kind: "absent", reason: "NO_ENABLED_SLOT", revision } };
  }
  const value = secret.slots.get(slot)?.value ?? "";
  if (shown.kind === "current" && shown.slot === slot && secret.slots.get(slot)?.changed !== revision)
    return secret;
  return { ...secret, shown: { kind: "current", slot, value, revision } };
}

/** The live slots of a secret, as a WatchSlots stream holds them: number to value. */
export function live(secret: Secret, view: "all" | "current"): ReadonlyMap<bigint, string> {
  const current = effective(secret);
  const slots = [...secret.slots].filter(
    ([number, { state }]) => state === "enabled" && (view === "all" || number === current),
  );
  return new Map(slots.map(([number, { value }]) => [number, value ?? ""]));
}

/** Bytes of a value; a large one is written as `label~bytes`. */
export const size = (value: string): number => Number(/~(\d+)$/.exec(value)?.[1] ?? value.length);
