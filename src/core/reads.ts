import type { SecretName } from "../domain/names.ts";
import { type Revision, type SlotNumber, slotOfTime } from "../domain/numbers.ts";
import type { SecretValue } from "../domain/secret-value.ts";
import type { SecretMeta, SlotRow } from "../storage/records.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";
import { noEffectiveSlot, secretNotFound } from "./not-found.ts";
import { recordRefusal } from "./recorded.ts";

/** A value, and where it came from. */
export interface ReadAnswer {
  readonly name: SecretName;
  readonly slot: SlotRow;
  readonly value: SecretValue;
  /** The last change of the secret. */
  readonly revision: Revision;
  readonly epoch: string;
}

export interface EffectiveAnswer extends ReadAnswer {
  readonly at: SlotNumber;
}

/** What a read came to. It may leave once `written` resolves: then the audit log has it (S4). */
export type Outcome<T> = { readonly written: Promise<void> } & (
  | { readonly answer: T }
  | { readonly error: unknown }
);

/**
 * The current value, decided and encoded in one turn of the event loop: many callers' reads can share a look at the
 * store and a write of the audit log, and no value has to be kept whole meanwhile.
 */
export function readCurrent<T>(
  core: Core,
  call: Call,
  name: SecretName,
  encode: (answer: ReadAnswer) => T,
): Outcome<T> {
  return decided(core, call, name, () => {
    // Rights first, by the name alone: nothing is looked up for a caller without a grant (S3).
    core.authorizer.require(call.head, call, name);
    const { head, state } = core.opened.current(name, call.head);
    if (head !== call.head) core.authorizer.require(head, call, name);
    const { secret, slot } = found(name, state.secret, state.slot);
    const value = core.opened.open(name, slot);
    return { slot, answer: encode({ name, slot, value, revision: secret.revision, epoch: head.epoch }) };
  });
}

/** The value effective at `at`; without it, at the server's clock. Decided as `readCurrent` is. */
export function readEffectiveAt<T>(
  core: Core,
  call: Call,
  name: SecretName,
  at: SlotNumber = slotOfTime(core.now()),
  encode: (answer: EffectiveAnswer) => T,
): Outcome<T> {
  return decided(core, call, name, () => {
    core.authorizer.require(call.head, call, name);
    const { head, secret: meta, slot: row } = core.opened.effectiveAt(name, at, call.head);
    if (head !== call.head) core.authorizer.require(head, call, name);
    const { secret, slot } = found(name, meta, row, at);
    const value = core.opened.open(name, slot);
    return { slot, answer: encode({ name, slot, value, revision: secret.revision, epoch: head.epoch, at }) };
  });
}

/** The answer, or the error, once it may leave. */
export async function settled<T>(outcome: Outcome<T>): Promise<T> {
  await outcome.written;
  if ("error" in outcome) throw outcome.error;
  return outcome.answer;
}

function decided<T>(
  core: Core,
  call: Call,
  name: SecretName,
  decide: () => { readonly slot: SlotRow; readonly answer: T },
): Outcome<T> {
  try {
    const { slot, answer } = decide();
    return { written: core.audit.disclosed(call, name, slot), answer };
  } catch (error) {
    return { written: recordRefusal(core, call, error, { name }), error };
  }
}

function found(
  name: SecretName,
  secret: SecretMeta | undefined,
  slot: SlotRow | undefined,
  at?: SlotNumber,
): { readonly secret: SecretMeta; readonly slot: SlotRow } {
  if (secret === undefined) throw secretNotFound(name);
  if (slot === undefined) throw noEffectiveSlot(name, at);
  return { secret, slot };
}
