import type { SecretName } from "../domain/names.ts";
import type { Revision, SlotNumber } from "../domain/numbers.ts";
import type { SecretValue } from "../domain/secret-value.ts";
import type { SlotRow } from "../storage/records.ts";

export type AbsentReason = "not-existing" | "no-enabled-slot";

/** One message of WatchSecret. */
export interface WatchSecretEvent {
  readonly epoch: string;
  readonly revision: Revision;
  readonly resumeToken: string;
  readonly event:
    | {
        readonly kind: "current";
        readonly name: SecretName;
        readonly slot: SlotRow;
        readonly value: SecretValue;
      }
    | { readonly kind: "absent"; readonly reason: AbsentReason }
    | { readonly kind: "progress" }
    | { readonly kind: "history-reset" };
}

/** One message of WatchSlots. */
export interface WatchSlotsEvent {
  readonly epoch: string;
  readonly revision: Revision;
  /** On `synced` and `progress` alone. */
  readonly resumeToken?: string;
  readonly event:
    | { readonly kind: "begin"; readonly name: SecretName }
    | {
        readonly kind: "slot";
        readonly name: SecretName;
        readonly slot: SlotRow;
        readonly value: SecretValue;
      }
    | { readonly kind: "removed"; readonly name: SecretName; readonly slot: SlotNumber }
    | { readonly kind: "absent"; readonly name: SecretName; readonly reason: AbsentReason }
    | { readonly kind: "failed"; readonly name: SecretName; readonly slot: SlotNumber }
    | { readonly kind: "synced" }
    | { readonly kind: "progress" }
    | { readonly kind: "history-reset" };
}
