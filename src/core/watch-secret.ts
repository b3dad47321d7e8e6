import type { SecretName } from "../domain/names.ts";
import type { Revision, SlotNumber } from "../domain/numbers.ts";
import type { Head } from "../storage/records.ts";
import type { Subscription } from "./bell.ts";
import type { Call, Send } from "./call.ts";
import type { Core } from "./core.ts";
import { noEffectiveSlot, secretNotFound } from "./not-found.ts";
import type { SecretState } from "./opened-secrets.ts";
import { recordRefusal } from "./recorded.ts";
import { canResume } from "./resume.ts";
import { decodeResumeToken, type ResumePoint } from "./resume-token.ts";
import { runSteps, type Steps } from "./steps.ts";
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
export async function watchSecret(
  core: Core,
  call: Call,
  request: WatchSecretRequest,
  send: Send<WatchSecretEvent>,
): Promise<void> {
  const { name } = request;
  const resume =
    request.resumeToken === ""
      ? undefined
      : decodeResumeToken(request.resumeToken, { rpc: "WatchSecret", subject: name });
  const subscription = core.bell.subscribe([name], call);
  const subject: WatchSubject = { name, slot: undefined };
  try {
    await runSteps(
      stepsOf(core, call, subject, resume, request.allowMissing, subscription),
      subscription,
      send,
    );
  } catch (error) {
    await recordRefusal(core, call, error, subject);
    throw error;
  } finally {
    subscription.close();
  }
}

/** What a refusal will be recorded to be about. */
type WatchSubject = Pick<WatchSecretRequest, "name"> & { slot: SlotNumber | undefined };

function* stepsOf(
  core: Core,
  call: Call,
  subject: WatchSubject,
  resume: ResumePoint | undefined,
  allowMissing: boolean,
  subscription: Subscription,
): Steps<WatchSecretEvent> {
  const { events } = core;
  const { signal } = call;
  const { name } = subject;
  const session = core.sessionOf(call);
  // Rights first, by the name alone: nothing is looked up for a caller without a grant (S3).
  session.require(core.opened.sync(), name);
  let told: Revision | "nothing" = "nothing";
  let first = true;
  let wasReset = false;
  let lastSent = 0;
  /** Where the store stood when the bell woke this stream: it was armed before that look. */
  let woken: Head | undefined;
  while (!signal.aborted) {
    if (woken === undefined) subscription.arm();
    const { head, state } = core.opened.current(name, woken);
    woken = undefined;
    session.require(head, name);

    if (first) {
      first = false;
      if (resume !== undefined) {
        if (canResume(core, head, resume)) told = resume.told;
        else {
          wasReset = true;
          yield { message: events.historyReset(head, name) };
          continue;
        }
      } else if (!allowMissing && state.slot === undefined) {
        throw state.secret === undefined ? secretNotFound(name) : noEffectiveSlot(name);
      }
    }

    if (told === "nothing" || state.revision > told) {
      if (told !== "nothing" && isReborn(state, told)) {
        // Whoever knew the secret that was deleted is told that it ended, before it is told of the new one.
        told = state.deletedRevision;
        yield { settled: core.audit.delivered(call, "absent", name, undefined, told) };
        yield { message: events.absent(head, name, told, told) };
        continue;
      }
      subject.slot = state.slot?.slot;
      const message = events.state(head, state, wasReset && told === "nothing");
      const { revision, event } = message;
      yield {
        settled:
          event.kind === "current"
            ? core.audit.delivered(call, "current", name, event.slot.slot, revision, event.value)
            : core.audit.delivered(call, "absent", name, undefined, revision),
      };
      told = head.revision;
      lastSent = core.steadyNow();
      yield { message };
    } else if (lastSent === 0 || core.steadyNow() - lastSent >= core.progressMs) {
      // The first answer to a resumed watch with no news, and a sign of life on an idle one (W7, W8).
      told = head.revision;
      lastSent = core.steadyNow();
      yield { message: events.progress(head, state) };
    }
    const progressIn = lastSent + core.progressMs - core.steadyNow();
    woken = yield { atMostMs: session.atMost(progressIn, core.now) };
  }
}

function isReborn(state: SecretState, told: Revision): boolean {
  return state.secret !== undefined && state.deletedRevision > told && state.secret.bornRevision > told;
}
