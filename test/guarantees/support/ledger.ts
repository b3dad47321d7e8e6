/** One slot as a caller can know it. A destroyed one has no value. */
export interface LedgerSlot {
  readonly state: "enabled" | "disabled" | "destroyed";
  readonly value: string;
}

/** The slots of one secret by number; none: there is no such secret. */
export type Contents = ReadonlyMap<bigint, LedgerSlot>;

export type Change =
  | {
      readonly kind: "put";
      readonly slot: bigint;
      readonly value: string;
      readonly overwrite: boolean;
      readonly staged: boolean;
    }
  | { readonly kind: "disable" | "enable" | "destroy"; readonly slot: bigint }
  | { readonly kind: "delete" };

const STATE_AFTER = { disable: "disabled", enable: "enabled", destroy: "destroyed" } as const;

/**
 * What one secret may hold, by what its only writer was answered: exactly what was answered OK, and, while a change
 * has no answer or failed, that with the change as well (D1, D2). One change at a time.
 */
export class Ledger {
  readonly name: string;
  #known: Contents = new Map();
  #doubtful: Contents | undefined;
  /** Every value that was ever offered for a slot: what a reader may see is one of them. */
  readonly #offered = new Set<string>();

  constructor(name: string) {
    this.name = name;
  }

  /** What it certainly holds; in doubt, what it held before. */
  get known(): Contents {
    return this.#known;
  }

  /** What it may hold: one thing, or two while a change is in doubt. */
  get possible(): readonly Contents[] {
    return this.#doubtful === undefined ? [this.#known] : [this.#known, this.#doubtful];
  }

  get inDoubt(): boolean {
    return this.#doubtful !== undefined;
  }

  begin(change: Change): void {
    if (this.#doubtful !== undefined) throw new Error("the change before is still in doubt");
    this.#doubtful = after(this.#known, change);
    if (change.kind === "put") this.#offered.add(`${change.slot} ${change.value}`);
  }

  answered(): void {
    this.#known = this.#doubtful ?? this.#known;
    this.#doubtful = undefined;
  }

  wasOffered(slot: bigint, value: string): boolean {
    return this.#offered.has(`${slot} ${value}`);
  }

  /** Takes what was read back, which must be one of what is possible; says what is wrong otherwise. */
  settle(found: Contents): string | undefined {
    const match = this.possible.find((contents) => shown(contents) === shown(found));
    if (match === undefined) {
      const allowed = this.possible.map(shown).join("\n  or ");
      return `${this.name} holds\n     ${shown(found)}\n  and should hold\n     ${allowed}`;
    }
    this.#known = match;
    this.#doubtful = undefined;
    return undefined;
  }
}

export function after(contents: Contents, change: Change): Contents {
  if (change.kind === "delete") return new Map();
  const next = new Map(contents);
  if (change.kind === "put") {
    next.set(change.slot, { state: change.staged ? "disabled" : "enabled", value: change.value });
  } else {
    const state = STATE_AFTER[change.kind];
    const value = state === "destroyed" ? "" : (contents.get(change.slot)?.value ?? "");
    next.set(change.slot, { state, value });
  }
  return next;
}

/** The enabled slot with the largest number. */
export function currentOf(contents: Contents): { slot: bigint; value: string } | undefined {
  let current: { slot: bigint; value: string } | undefined;
  for (const [slot, { state, value }] of contents) {
    if (state === "enabled" && (current === undefined || slot > current.slot)) current = { slot, value };
  }
  return current;
}

/** Contents as one line. Values of disabled slots can't be read over the wire, so they are left out. */
export function shown(contents: Contents): string {
  const slots = [...contents].sort(([a], [b]) => (a < b ? -1 : 1));
  if (slots.length === 0) return "(nothing)";
  return slots
    .map(([slot, { state, value }]) => `${slot}:${state}${state === "enabled" ? `=${brief(value)}` : ""}`)
    .join(" ");
}

/** Padding is made from the start of a value, so a start and a length tell two values apart. */
function brief(value: string): string {
  return `${value.slice(0, value.indexOf(";") + 1)}+${value.length}`;
}
