import { SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import { NO_REVISION, type Revision } from "../domain/numbers.ts";
import type { SecretValue } from "../domain/secret-value.ts";
import type { SecretMeta, SecretRead, SlotMeta } from "../storage/records.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";
import type { Session } from "./session.ts";
import type { WatchSlotsEvent } from "./watch-events.ts";

export type WatchView = "current" | "all-enabled";

/** The store's revision up to which a name was told in full. */
export type Told = Revision | "nothing";

const SLOTS_A_PAGE = 256;

/**
 * What changed of one secret since a revision, as events in order of revision. Pages hold metadata only; each
 * value is read when its event's turn has come, with the rights of that moment, so one event waits at a time
 * and nothing that was committed after a revocation leaves (W5, W12).
 */
export class SlotChanges {
  readonly #core: Core;
  readonly #call: Call;
  readonly #session: Session;
  readonly #view: WatchView;
  /** Set while what is told follows a `history_reset`. */
  afterReset = false;
  /** Where the name stands that `since` went through last. */
  toldUpTo: Revision = NO_REVISION;

  constructor(core: Core, call: Call, session: Session, view: WatchView) {
    this.#core = core;
    this.#call = call;
    this.#session = session;
    this.#view = view;
  }

  async *since(name: SecretName, told: Told): AsyncGenerator<WatchSlotsEvent, void, void> {
    const read = this.#core.storage.readCurrent(name);
    this.#session.require(read.head, name);
    // What is committed from here on rings again, and is then told as news after this revision.
    this.toldUpTo = read.head.revision;
    const { secret } = read;
    const fresh = told === "nothing";
    if (secret === undefined) {
      if (fresh) yield this.#begin(name, read);
      if (fresh || read.deletedRevision > told) yield await this.#absent(name, read, this.#endOf(read));
      return;
    }
    const reborn = !fresh && secret.bornRevision > told;
    // Whoever knew the secret that was deleted is told that it ended, before it is told of the new one.
    if (reborn && read.deletedRevision > told) yield await this.#absent(name, read, read.deletedRevision);
    const whole = fresh || reborn;
    if (!whole && secret.revision <= told) return;
    const stateIsNews = whole || secret.stateRevision > told;
    if (this.#view === "current") {
      if (!stateIsNews) return;
      yield this.#begin(name, read);
      if (read.slot === undefined) yield await this.#absent(name, read, secret.stateRevision);
      else yield* this.#slot(name, read.slot, secret.stateRevision);
      return;
    }
    if (whole) yield this.#begin(name, read);
    if (secret.enabledCount > 0) yield* this.#slots(name, secret, whole, whole ? NO_REVISION : told);
    else if (stateIsNews) yield await this.#absent(name, read, secret.stateRevision);
  }

  /**
   * Slots changed after a revision, in order of revision. Later pages may show changes that were made while the
   * earlier ones were sent; all of them up to the last page's moment are told when this ends.
   */
  async *#slots(
    name: SecretName,
    secret: SecretMeta,
    whole: boolean,
    from: Revision,
  ): AsyncGenerator<WatchSlotsEvent, void, void> {
    const begun = this.toldUpTo;
    for (let after = from; ; ) {
      const page = this.#core.storage.listSlots(name, {
        changedAfter: after,
        limit: SLOTS_A_PAGE,
        withRecords: false,
      });
      // Deleted or born again meanwhile: the rest is told when that rings.
      if (page.secret?.bornRevision !== secret.bornRevision) return;
      // The last live slot has gone since this began: that is all there is to say of the secret now.
      if (page.secret.enabledCount === 0) {
        this.toldUpTo = page.head.revision;
        yield await this.#absent(name, page, page.secret.stateRevision);
        return;
      }
      for (const slot of page.slots) {
        after = slot.revision;
        if (slot.state === "enabled") {
          yield* this.#slot(name, slot, slot.revision);
        } else if (!whole || slot.revision > begun) {
          // A slot that was not live when the whole state began was never told of.
          await this.#core.audit.delivered(this.#call, "removed", name, slot.slot, slot.revision);
          yield this.#event(page, slot.revision, { kind: "removed", name, slot: slot.slot });
        }
      }
      if (page.slots.length < SLOTS_A_PAGE) {
        this.toldUpTo = page.head.revision;
        return;
      }
    }
  }

  async *#slot(
    name: SecretName,
    listed: SlotMeta,
    revision: Revision,
  ): AsyncGenerator<WatchSlotsEvent, void, void> {
    const read = this.#core.storage.readSlot(name, listed.slot);
    this.#session.require(read.head, name);
    // Changed since it was listed: its newer state comes in its own place.
    if (read.slot?.revision !== listed.revision) return;
    let value: SecretValue;
    try {
      value = this.#core.opened.open(name, read.slot);
    } catch (error) {
      if (!(error instanceof SlotsError)) throw error;
      await this.#core.audit.refused(this.#call, error, { name, slot: listed.slot });
      yield this.#event(read, revision, { kind: "failed", name, slot: listed.slot });
      return;
    }
    value.hold();
    try {
      await this.#core.audit.delivered(this.#call, "slot", name, listed.slot, revision);
    } finally {
      value.release();
    }
    yield this.#event(read, revision, { kind: "slot", name, slot: read.slot, value });
  }

  /** When the deletion is forgotten, the end of what is forgotten is the newest that can be said of it (W3). */
  #endOf(read: SecretRead): Revision {
    return this.afterReset && read.deletedRevision === NO_REVISION ? read.floor : read.deletedRevision;
  }

  #begin(name: SecretName, read: SecretRead): WatchSlotsEvent {
    return this.#event(read, read.head.revision, { kind: "begin", name });
  }

  async #absent(name: SecretName, read: SecretRead, revision: Revision): Promise<WatchSlotsEvent> {
    await this.#core.audit.delivered(this.#call, "absent", name, undefined, revision);
    const stillThere = read.secret !== undefined && revision === read.secret.stateRevision;
    return this.#event(read, revision, {
      kind: "absent",
      name,
      reason: stillThere ? "no-enabled-slot" : "not-existing",
    });
  }

  #event(read: SecretRead, revision: Revision, event: WatchSlotsEvent["event"]): WatchSlotsEvent {
    return { epoch: read.head.epoch, revision, event };
  }
}
