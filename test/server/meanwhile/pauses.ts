import type { SourceEdit } from "../../guarantees/support/edited-sources.ts";

/** Places between two looks at the store, at which another process may change it. */
export const PAUSES = {
  "a slot was chosen for GetEffectiveAt and is not opened yet": {
    file: "core/reads.ts",
    find: "core.opened.effectiveAt(name, at, call.head);",
    replace: "core.opened.effectiveAt(name, at, call.head);\n    globalThis.slotsPause();",
  },
  "a watched secret was read and its slots are not yet": {
    file: "core/slot-changes.ts",
    find: "      const page = this.#core.storage.listSlots(name, {",
    replace: "      globalThis.slotsPause();\n      const page = this.#core.storage.listSlots(name, {",
  },
  "the next number was chosen for a put and its slot is not read yet": {
    file: "core/put-slot.ts",
    find: "  const read = core.storage.readSlot(name, slot);",
    replace: "  globalThis.slotsPause();\n  const read = core.storage.readSlot(name, slot);",
  },
} as const satisfies Readonly<Record<string, SourceEdit>>;

export type Pause = keyof typeof PAUSES;
