import type { SecretName } from "../domain/names.ts";
import type { Head } from "../storage/records.ts";
import { type Call, type Send, sent } from "./call.ts";
import type { Core } from "./core.ts";
import { noEffectiveSlot, secretNotFound } from "./not-found.ts";
import { recordRefusal } from "./recorded.ts";
import { canResume } from "./resume.ts";
import { decodeResumeToken, encodeResumeToken, nameDigest } from "./resume-token.ts";
import { SlotChanges, type Told, type WatchView } from "./slot-changes.ts";
import type { WatchSlotsEvent } from "./watch-events.ts";

export interface WatchSlotsRequest {
  /** 1 to 1,000, none twice. */
  readonly names: readonly SecretName[];
  /** Empty begins afresh. */
  readonly resumeToken: string;
  readonly allowMissing: boolean;
  readonly view: WatchView;
}

/**
 * The loop of `watchSecret` for many names: what changed of each since it was last told is sent, and `synced`
 * closes the set once a look at the store finds nothing of ours changed since it was read. So what a client
 * applies at `synced` is the state of all its names at that one revision of the store, however many pieces it
 * was read in (W5).
 */
export async function watchSlots(
  core: Core,
  call: Call,
  request: WatchSlotsRequest,
  send: Send<WatchSlotsEvent>,
): Promise<void> {
  const { names, view } = request;
  const session = core.sessionOf(call);
  const bound = { rpc: "WatchSlots", subject: view } as const;
  const resume = request.resumeToken === "" ? undefined : decodeResumeToken(request.resumeToken, bound);
  const digests = names.map(nameDigest);
  const tokenAt = ({ epoch, revision }: Head): string =>
    encodeResumeToken({
      ...bound,
      epoch,
      told: revision,
      commitId: core.commitIdAt(revision),
      names: digests,
    });

  const subscription = core.bell.subscribe(names, call);
  /** The name whose turn it is, for the record of a refusal. */
  let about: SecretName | undefined;
  const requireAll = (head: Head) => {
    for (const name of names) {
      about = name;
      session.require(head, name);
    }
  };
  try {
    const opening = core.opened.sync();
    requireAll(opening);
    const changes = new SlotChanges(core, call, session, view);
    const told = new Map<SecretName, Told>();
    if (resume === undefined) {
      if (!request.allowMissing) {
        for (const name of names) {
          about = name;
          requirePresent(core, name);
        }
      }
    } else if (canResume(core, opening, resume)) {
      const covered = new Set(resume.names);
      names.forEach((name, index) => {
        if (covered.has(digests[index] ?? "")) told.set(name, resume.told);
      });
    } else {
      changes.afterReset = true;
      await sent(send, {
        epoch: opening.epoch,
        revision: opening.revision,
        event: { kind: "history-reset" },
      });
    }

    let unsynced = false;
    let lastSent = 0;
    while (!call.signal.aborted) {
      // The look rings for what changed until now, so an empty `due` means: all of ours is told as of `head`.
      const head = core.opened.sync();
      const rung = subscription.arm();
      const due = rung === "all" ? names : names.filter((name) => rung.has(name));
      if (due.length > 0) {
        for (const name of due) {
          about = name;
          const from = told.get(name) ?? "nothing";
          for await (const event of changes.since(name, from)) {
            unsynced = true;
            await sent(send, event);
            if (call.signal.aborted) return;
          }
          told.set(name, changes.toldUpTo);
        }
        continue;
      }

      requireAll(head);
      const now = core.steadyNow();
      if (unsynced || lastSent === 0 || now - lastSent >= core.progressMs) {
        const { epoch, revision } = head;
        const kind = unsynced ? "synced" : "progress";
        unsynced = false;
        lastSent = now;
        changes.afterReset = false;
        await sent(send, { epoch, revision, resumeToken: tokenAt(head), event: { kind } });
      } else {
        await subscription.wait(session.atMost(lastSent + core.progressMs - now, core.now));
      }
    }
  } catch (error) {
    await recordRefusal(core, call, error, about === undefined ? {} : { name: about });
    throw error;
  } finally {
    subscription.close();
  }
}

function requirePresent(core: Core, name: SecretName): void {
  const { state } = core.opened.current(name);
  if (state.secret === undefined) throw secretNotFound(name);
  if (state.slot === undefined) throw noEffectiveSlot(name);
}
