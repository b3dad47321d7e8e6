import { randomBytes, timingSafeEqual } from "node:crypto";
import { type ErrorCode, SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import { MAX_NUMBER, NO_REVISION, type Revision, type SlotNumber, slotOfTime } from "../domain/numbers.ts";
import type { SecretValue } from "../domain/secret-value.ts";
import type { CommitResult, PutSlotMutation } from "../storage/commit.ts";
import type { SlotRead, SlotRow } from "../storage/records.ts";
import type { Call } from "./call.ts";
import { Change, retriesExhausted, revisionMismatch } from "./change.ts";
import type { Core } from "./core.ts";
import { recorded } from "./recorded.ts";

/** Which number to write. */
export type SlotChoice =
  | { readonly kind: "number"; readonly slot: SlotNumber }
  | { readonly kind: "next-index" }
  | { readonly kind: "now" };

export interface PutSlotRequest {
  readonly name: SecretName;
  readonly choice: SlotChoice;
  readonly value: SecretValue;
  readonly overwrite: boolean;
  /** 0: the secret must not exist yet. */
  readonly expectedRevision: Revision | undefined;
  readonly requestId: string | undefined;
  readonly state: "enabled" | "disabled";
}

/** Writes one slot; the order of what is decided is the contract's: replay, same value, expected revision, slot rule. */
export function putSlot(core: Core, call: Call, request: PutSlotRequest): Promise<CommitResult> {
  const { name, choice } = request;
  return recorded(core, call, subjectOf(request), async () => {
    core.authorizer.require(core.opened.sync(), call, name);
    const change = new Change(core, call, request.requestId, digestParts(request));
    const known = change.replay();
    if (known !== undefined) return change.answered(known, subjectOf(request));
    try {
      const result = choice.kind === "next-index" ? "moved" : await attempt(core, call, request, change);
      if (result !== "moved") return result;
      // Puts that want the same number take turns: side by side, all but one of them would seal in vain each time.
      const number = choice.kind === "number" ? String(choice.slot) : choice.kind;
      return await core.turns.run(`${name} ${number}`, () => write(core, call, request, change));
    } catch (error) {
      // What stood in the way may be the work of this very request, sent twice: then both are answered alike.
      const done = error instanceof SlotsError && DECIDED.has(error.code) ? change.replay() : undefined;
      if (done === undefined) throw error;
      return change.answered(done, subjectOf(request));
    }
  });
}

/** Refusals for what is in the store. */
const DECIDED = new Set<ErrorCode>(["ABORTED", "ALREADY_EXISTS", "FAILED_PRECONDITION"]);
const MOST_ATTEMPTS = 1000;

async function write(core: Core, call: Call, request: PutSlotRequest, change: Change): Promise<CommitResult> {
  for (let attempts = 0; attempts < MOST_ATTEMPTS; attempts++) {
    const result = await attempt(core, call, request, change);
    if (result !== "moved") return result;
  }
  throw retriesExhausted(`secret '${request.name}'`, { name: request.name });
}

/** Reads, decides, seals and commits; "moved" when the slot, or the master key, was changed in between. */
async function attempt(
  core: Core,
  call: Call,
  request: PutSlotRequest,
  change: Change,
): Promise<CommitResult | "moved"> {
  call.signal.throwIfAborted();
  const { name } = request;
  const slot = chooseSlot(core, request);
  const read = core.storage.readSlot(name, slot);
  // The next number was taken between the two reads: what is in it now is another put's, be the value the same or not.
  if (read.slot !== undefined && request.choice.kind === "next-index") return "moved";
  if (read.slot !== undefined && holdsSameValue(core, request, read.slot)) {
    const { epoch } = read.head;
    const unchanged = { epoch, revision: read.slot.valueRevision, slot: read.slot, created: false };
    return change.unchanged(
      read.secret === undefined ? unchanged : { ...unchanged, secret: read.secret },
      subjectOf(request),
    );
  }
  requireWritable(request, slot, read);

  // Another process may have made another master key the primary.
  core.opened.sync();
  const versionId = randomBytes(16);
  const { storeId } = core.storage.identity;
  const record = core.keyring.seal({ storeId, name, slot, versionId }, request.value);
  const mutation: PutSlotMutation = {
    kind: "put-slot",
    name,
    slot,
    state: request.state,
    versionId,
    record,
    size: request.value.size,
    replaces: read.slot?.versionId,
    ...(request.expectedRevision === undefined ? {} : { expectedRevision: request.expectedRevision }),
    mustBeNext: request.choice.kind === "next-index",
    maxSlots: core.limits.maxSlotsPerSecret,
  };
  return change.commit(mutation, subjectOf(request));
}

function chooseSlot(core: Core, { name, choice }: PutSlotRequest): SlotNumber {
  switch (choice.kind) {
    case "number":
      return choice.slot;
    case "now":
      return slotOfTime(core.now());
    case "next-index": {
      const { secret } = core.storage.readSecret(name);
      if (secret === undefined) return 0n as SlotNumber;
      if (secret.lastSlot === MAX_NUMBER) {
        throw new SlotsError("SLOT_NUMBERS_EXHAUSTED", `secret '${name}' has used the largest slot number`, {
          metadata: { name },
        });
      }
      return (secret.lastSlot + 1n) as SlotNumber;
    }
    default:
      return choice satisfies never;
  }
}

/**
 * Compared in constant time, although whoever may write could learn little: without it, a writer who may not
 * read could find a value byte by byte.
 */
function holdsSameValue(core: Core, request: PutSlotRequest, row: SlotRow): boolean {
  if (row.state === "destroyed" || row.size !== request.value.size) return false;
  let stored: SecretValue;
  try {
    stored = core.opened.open(request.name, row);
  } catch (error) {
    // A record that does not open can be mended by writing it again, if the caller means to.
    if (request.overwrite) return false;
    throw error;
  }
  return timingSafeEqual(stored.reveal(), request.value.reveal());
}

function requireWritable(request: PutSlotRequest, slot: SlotNumber, read: SlotRead): void {
  const { name, expectedRevision, overwrite } = request;
  const revision = read.secret?.revision ?? NO_REVISION;
  if (expectedRevision !== undefined && expectedRevision !== revision) throw revisionMismatch(name, revision);
  if (read.slot === undefined || overwrite) return;
  const metadata = { name, slot: String(slot), revision: String(read.slot.valueRevision) };
  if (read.slot.state === "destroyed") {
    throw new SlotsError(
      "SLOT_DESTROYED",
      `slot ${slot} of '${name}' was destroyed; its number is written again only with overwrite`,
      { code: "ALREADY_EXISTS", metadata },
    );
  }
  throw new SlotsError(
    "SLOT_EXISTS",
    `slot ${slot} of '${name}' holds another value since revision ${read.slot.valueRevision}; put a higher slot, or overwrite`,
    { metadata },
  );
}

function subjectOf({ name, choice, requestId }: PutSlotRequest) {
  return {
    name,
    ...(choice.kind === "number" ? { slot: choice.slot } : {}),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

function digestParts(request: PutSlotRequest): readonly (string | Uint8Array)[] {
  const { choice } = request;
  return [
    request.name,
    choice.kind === "number" ? String(choice.slot) : choice.kind,
    request.value.reveal(),
    String(request.overwrite),
    String(request.expectedRevision),
    request.state,
  ];
}
