import type { SecretName } from "../domain/names.ts";
import type { SlotNumber } from "../domain/numbers.ts";
import type { CommitResult } from "../storage/commit.ts";
import type { Call } from "./call.ts";
import { Change } from "./change.ts";
import type { Core } from "./core.ts";
import { revisionOfEtag } from "./etag.ts";
import { recorded } from "./recorded.ts";

export interface SlotStateRequest {
  readonly name: SecretName;
  readonly slot: SlotNumber;
  readonly state: "enabled" | "disabled" | "destroyed";
  /** Empty: none was given. */
  readonly etag: string;
  readonly requestId: string | undefined;
}

/** Enables, disables or destroys a slot. Already so is OK, changes nothing and comes before the etag. */
export function setSlotState(core: Core, call: Call, request: SlotStateRequest): Promise<CommitResult> {
  const { name, slot, state, etag, requestId } = request;
  const subject = { name, slot, ...(requestId === undefined ? {} : { requestId }) };
  return recorded(core, call, subject, async () => {
    const head = core.opened.sync();
    core.authorizer.require(head, call, name);
    const change = new Change(core, call, requestId, [name, String(slot), etag]);
    const known = change.replay();
    if (known !== undefined) return change.answered(known, subject);
    const expectedRevision = revisionOfEtag(etag, head.epoch);
    const result = await change.commitDecided(
      {
        kind: "set-slot-state",
        name,
        slot,
        state,
        ...(expectedRevision === undefined ? {} : { expectedRevision }),
      },
      subject,
    );
    return result;
  });
}
