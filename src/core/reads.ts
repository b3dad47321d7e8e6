import type { SecretName } from "../domain/names.ts";
import { type Revision, type SlotNumber, slotOfTime } from "../domain/numbers.ts";
import type { SecretValue } from "../domain/secret-value.ts";
import type { SecretMeta, SlotRow } from "../storage/records.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";
import { noEffectiveSlot, secretNotFound } from "./not-found.ts";
import { recorded } from "./recorded.ts";

/** A value, and where it came from. */
export interface ReadAnswer {
  readonly name: SecretName;
  readonly slot: SlotRow;
  readonly value: SecretValue;
  /** The last change of the secret. */
  readonly revision: Revision;
  readonly epoch: string;
}

/** The current value. */
export function getSecret(core: Core, call: Call, name: SecretName): Promise<ReadAnswer> {
  return recorded(core, call, { name }, () => {
    // Rights first, by the name alone: nothing is looked up for a caller without a grant (S3).
    core.authorizer.require(call.head, call, name);
    const { head, state } = core.opened.current(name, call.head);
    if (head !== call.head) core.authorizer.require(head, call, name);
    return disclose(core, call, name, head.epoch, state.secret, state.slot, () => noEffectiveSlot(name));
  });
}

export interface EffectiveAnswer extends ReadAnswer {
  readonly at: SlotNumber;
}

/** The value effective at `at`; without it, at the server's clock. */
export function getEffectiveAt(
  core: Core,
  call: Call,
  name: SecretName,
  at: SlotNumber = slotOfTime(core.now()),
): Promise<EffectiveAnswer> {
  return recorded(core, call, { name }, async () => {
    core.authorizer.require(call.head, call, name);
    const { head, secret, slot } = core.opened.effectiveAt(name, at, call.head);
    if (head !== call.head) core.authorizer.require(head, call, name);
    const answer = await disclose(core, call, name, head.epoch, secret, slot, () =>
      noEffectiveSlot(name, at),
    );
    return { ...answer, at };
  });
}

async function disclose(
  core: Core,
  call: Call,
  name: SecretName,
  epoch: string,
  secret: SecretMeta | undefined,
  slot: SlotRow | undefined,
  noSlot: () => Error,
): Promise<ReadAnswer> {
  if (secret === undefined) throw secretNotFound(name);
  if (slot === undefined) throw noSlot();
  const value = core.opened.open(name, slot);
  value.hold();
  try {
    await core.audit.disclosed(call, name, slot);
  } finally {
    value.release();
  }
  return { name, slot, value, revision: secret.revision, epoch };
}
