import type { SecretName } from "../domain/names.ts";
import { NO_REVISION, type Revision } from "../domain/numbers.ts";
import type { Head } from "../storage/records.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";
import { noEffectiveSlot, secretNotFound } from "./not-found.ts";
import type { SecretState } from "./opened-secrets.ts";
import { recordRefusal, type Subject } from "./recorded.ts";
import { canResume } from "./resume.ts";
import { decodeResumeToken, encodeResumeToken, type ResumePoint } from "./resume-token.ts";
import type { WatchSecretEvent } from "./watch-events.ts";

export interface WatchSecretRequest {
  readonly name: SecretName;
  /** Empty begins afresh. */
  readonly resumeToken: string;
  readonly allowMissing: boolean;
}

/**
 * Read, then wait: there is no queue, so a slow subscriber costs nothing, and resuming is the same code as
 * starting. `told` is the store's revision up to which the stream was told everything; a state made by a later
 * commit is news (W3, W4). The subscription is armed before each read, so a commit in between ends the next wait
 * at once (W2, W6).
 */
export async function* watchSecret(
  core: Core,
  call: Call,
  request: WatchSecretRequest,
): AsyncGenerator<WatchSecretEvent, void, void> {
  const { name } = request;
  const session = core.sessionOf(call);
  const bound = { rpc: "WatchSecret", subject: name } as const;
  const resume = request.resumeToken === "" ? undefined : decodeResumeToken(request.resumeToken, bound);
  const tokenAt = (epoch: string, told: Revision): string =>
    encodeResumeToken({ ...bound, epoch, told, commitId: core.commitIdAt(told), names: [] });

  const subscription = core.bell.subscribe([name]);
  let about: Subject = { name };
  try {
    // Rights first, by the name alone: nothing is looked up for a caller without a grant (S3).
    session.require(core.opened.sync(), name);
    let told: Revision | "nothing" = "nothing";
    let first = true;
    let wasReset = false;
    let lastSent = 0;
    while (!call.signal.aborted) {
      subscription.arm();
      const { head, state } = core.opened.current(name);
      session.require(head, name);
      const { epoch } = head;

      if (first) {
        first = false;
        if (resume !== undefined) {
          if (canResume(core, head, resume)) told = resume.told;
          else {
            wasReset = true;
            const nothing: ResumePoint = { ...bound, epoch, told: "nothing", commitId: NO_COMMIT, names: [] };
            const resumeToken = encodeResumeToken(nothing);
            yield { epoch, revision: head.revision, resumeToken, event: { kind: "history-reset" } };
            continue;
          }
        } else if (!request.allowMissing && state.slot === undefined) {
          throw state.secret === undefined ? secretNotFound(name) : noEffectiveSlot(name);
        }
      }

      const now = core.steadyNow();
      if (told === "nothing" || state.revision > told) {
        if (told !== "nothing" && isReborn(state, told)) {
          // Whoever knew the secret that was deleted is told that it ended, before it is told of the new one.
          const revision = state.deletedRevision;
          const resumeToken = tokenAt(epoch, revision);
          told = revision;
          await core.audit.delivered(call, "absent", name, undefined, revision);
          yield { epoch, revision, resumeToken, event: { kind: "absent", reason: "not-existing" } };
          continue;
        }
        about = state.slot === undefined ? { name } : { name, slot: state.slot.slot };
        const event = await stateEvent(core, call, head, state, wasReset && told === "nothing");
        told = head.revision;
        lastSent = now;
        yield { ...event, resumeToken: tokenAt(epoch, told) };
      } else if (lastSent === 0 || now - lastSent >= core.progressMs) {
        // The first answer to a resumed watch with no news, and a sign of life on an idle one (W7, W8).
        told = head.revision;
        lastSent = now;
        const resumeToken = tokenAt(epoch, told);
        yield { epoch, revision: told, resumeToken, event: { kind: "progress" } };
      } else {
        await subscription.wait(session.atMost(lastSent + core.progressMs - now, core.now()), call.signal);
      }
    }
  } catch (error) {
    await recordRefusal(core, call, error, about);
    throw error;
  } finally {
    subscription.close();
  }
}

const NO_COMMIT = new Uint8Array(16);

function isReborn(state: SecretState, told: Revision): boolean {
  return state.secret !== undefined && state.deletedRevision > told && state.secret.bornRevision > told;
}

async function stateEvent(
  core: Core,
  call: Call,
  head: Head,
  state: SecretState,
  afterReset: boolean,
): Promise<Omit<WatchSecretEvent, "resumeToken">> {
  const { name, secret, slot } = state;
  const { epoch } = head;
  if (slot === undefined) {
    // After a reset the deletion itself may be forgotten; the end of what is forgotten is then the newest
    // revision that can be said of it, and never one that an older answer of ours was above (W3).
    const forgotten = afterReset && secret === undefined && state.revision === NO_REVISION;
    const revision = forgotten ? state.floor : state.revision;
    await core.audit.delivered(call, "absent", name, undefined, revision);
    return {
      epoch,
      revision,
      event: { kind: "absent", reason: secret === undefined ? "not-existing" : "no-enabled-slot" },
    };
  }
  // When it does not open, never a fall-back to a lower slot: the stream ends, and says which slot is damaged.
  const value = core.opened.open(name, slot);
  value.hold();
  try {
    await core.audit.delivered(call, "current", name, slot.slot, state.revision);
  } finally {
    value.release();
  }
  return { epoch, revision: state.revision, event: { kind: "current", name, slot, value } };
}
