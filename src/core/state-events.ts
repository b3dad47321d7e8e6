import type { SecretName } from "../domain/names.ts";
import { NO_REVISION, type Revision } from "../domain/numbers.ts";
import type { Head, SlotRow } from "../storage/records.ts";
import type { OpenedSecrets, SecretState } from "./opened-secrets.ts";
import { encodeResumeToken } from "./resume-token.ts";
import type { WatchSecretEvent } from "./watch-events.ts";

interface Shared {
  readonly epoch: string;
  readonly told: Revision;
  state?: WatchSecretEvent;
  progress?: WatchSecretEvent;
}

const NO_COMMIT = new Uint8Array(16);

/**
 * The events of WatchSecret. Streams that are told the same of a secret at the same revision of the store are
 * given one and the same object, so that whoever encodes it does so once.
 */
export class StateEvents {
  readonly #opened: OpenedSecrets;
  readonly #shared = new WeakMap<SecretState, Shared>();

  constructor(opened: OpenedSecrets) {
    this.#opened = opened;
  }

  /**
   * What the secret is now. Throws RECORD_DAMAGED when its value does not open: never a fall-back to a lower slot.
   * `afterReset`: it follows a history_reset.
   */
  state(head: Head, state: SecretState, afterReset: boolean): WatchSecretEvent {
    const { name, secret, slot, revision } = state;
    // After a reset the deletion itself may be forgotten; the end of what is forgotten is then the newest
    // revision that can be said of it, and never one that an older answer of ours was above (W3).
    if (afterReset && secret === undefined && revision === NO_REVISION) {
      return this.absent(head, name, state.floor, head.revision);
    }
    const shared = this.#sharedBy(head, state);
    // One whose value was erased before anybody encoded it is of no use any more.
    if (shared.state === undefined || isErased(shared.state)) {
      shared.state =
        slot === undefined
          ? this.absent(head, name, revision, head.revision, secret !== undefined)
          : this.#current(head, name, revision, slot);
    }
    return shared.state;
  }

  #current(head: Head, name: SecretName, revision: Revision, slot: SlotRow): WatchSecretEvent {
    const value = this.#opened.open(name, slot);
    return {
      ...this.#at(head, name, head.revision),
      revision,
      event: { kind: "current", name, slot, value },
    };
  }

  /** Nothing newer than this moment. */
  progress(head: Head, state: SecretState): WatchSecretEvent {
    const shared = this.#sharedBy(head, state);
    shared.progress ??= {
      ...this.#at(head, state.name, head.revision),
      revision: head.revision,
      event: { kind: "progress" },
    };
    return shared.progress;
  }

  absent(head: Head, name: SecretName, revision: Revision, told: Revision, exists = false): WatchSecretEvent {
    const reason = exists ? "no-enabled-slot" : "not-existing";
    return { ...this.#at(head, name, told), revision, event: { kind: "absent", reason } };
  }

  historyReset(head: Head, name: SecretName): WatchSecretEvent {
    const { revision } = head;
    return { ...this.#at(head, name, "nothing"), revision, event: { kind: "history-reset" } };
  }

  #at({ epoch }: Head, name: SecretName, told: Revision | "nothing") {
    const commitId = told === "nothing" ? undefined : this.#opened.commitIdAt(told);
    const point = {
      rpc: "WatchSecret",
      subject: name,
      epoch,
      told,
      commitId: commitId ?? NO_COMMIT,
      names: [],
    } as const;
    return { epoch, resumeToken: encodeResumeToken(point) };
  }

  #sharedBy({ epoch, revision }: Head, state: SecretState): Shared {
    let shared = this.#shared.get(state);
    if (shared?.told !== revision || shared.epoch !== epoch) {
      shared = { epoch, told: revision };
      this.#shared.set(state, shared);
    }
    return shared;
  }
}

function isErased({ event }: WatchSecretEvent): boolean {
  return event.kind === "current" && event.value.erased;
}
