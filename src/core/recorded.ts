import { SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import type { SlotNumber } from "../domain/numbers.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";

/** What a call is about, for the audit log. */
export interface Subject {
  readonly name?: SecretName;
  readonly slot?: SlotNumber | undefined;
  readonly requestId?: string;
  /** A token's public id, a master key's id, names of policies. */
  readonly subject?: string;
}

const PUBLIC_ID = /^(?:tk_[0-9A-Za-z]{12}|mk_[0-9a-f]{20})$/;

/** What was sent as the public id of a token or a master key and is none may be the token or the key itself (S1). */
export function subjectOfId(id: string): Subject {
  return PUBLIC_ID.test(id) ? { subject: id } : {};
}

/**
 * Runs an operation and records its refusal before the caller learns of it. Success is recorded by the operation
 * itself, because only it knows what it is about to disclose.
 */
export async function recorded<T>(
  core: Core,
  call: Call,
  subject: Subject,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    await recordRefusal(core, call, error, subject);
    throw error;
  }
}

/** Records what a call or a stream is about to fail with. */
export function recordRefusal(core: Core, call: Call, error: unknown, subject: Subject): Promise<void> {
  // When the log itself is what fails, there is nothing to write to.
  if (!(error instanceof SlotsError) || error.reason === "AUDIT_UNAVAILABLE") return NOTHING_TO_WRITE;
  return core.audit.refused(call, error, subject);
}

const NOTHING_TO_WRITE = Promise.resolve();
