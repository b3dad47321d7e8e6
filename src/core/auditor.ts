import type { AuditCaller, AuditLog, CallRecord, DeliveryRecord } from "../audit/audit-log.ts";
import { type ErrorCode, SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import type { Revision, SlotNumber } from "../domain/numbers.ts";
import type { SecretValue } from "../domain/secret-value.ts";
import type { CommitResult } from "../storage/commit.ts";
import type { SlotMeta } from "../storage/records.ts";
import type { Storage } from "../storage/storage.ts";
import type { Call } from "./call.ts";
import { completedRecord } from "./complete-audit.ts";
import type { Subject } from "./recorded.ts";

const REPAY_MS = 1000;

interface Delivery extends Omit<DeliveryRecord, "kind"> {
  readonly streams: AuditCaller[];
  /** Held until it is written. Mostly one; where nothing is kept, each stream opened its own. */
  readonly values: SecretValue[];
  readonly written: Promise<void>;
}

/** Says what goes into the audit log; each method resolves when the record is there and the answer may leave (S4). */
export class Auditor {
  readonly #log: AuditLog;
  readonly #deliveries = new Map<string, Delivery>();
  /** The one that was added to last: of a fan-out, all streams come one after the other. */
  #latest: Delivery | undefined;
  /** Where the store stood when each change began that is not in the log yet. */
  readonly #open = new Set<{ readonly since: Revision }>();
  readonly #storage: Pick<Storage, "head" | "changeAt">;
  /** Changes that the log refused, each with what to call once it has them. */
  #owed: { readonly revision: Revision; readonly recorded: () => void }[] = [];
  #repaying: NodeJS.Timeout | undefined;

  constructor(log: AuditLog, storage: Pick<Storage, "head" | "changeAt">) {
    this.#log = log;
    this.#storage = storage;
  }

  /** The revision up to which every change that this process made is in the log. */
  covered(): Revision {
    let covered = this.#storage.head().revision;
    for (const { since } of this.#open) if (since < covered) covered = since;
    return covered;
  }

  /**
   * Throws AUDIT_UNAVAILABLE while the log can't be written: nothing is changed that could not be told of. The
   * refusal is itself what finds out whether the log is back.
   */
  async requireReady(call: Call, subject: Subject): Promise<void> {
    if (this.#log.state !== "unavailable") return;
    const error = new SlotsError("AUDIT_UNAVAILABLE", "the audit log can't be written; nothing was done", {
      retryAfterMs: 1000,
    });
    await this.refused(call, error, subject);
    throw error;
  }

  /** Call before a commit; what it returns after the change was recorded, or was found not to be one. */
  changeBegins(): () => void {
    const change = { since: this.#storage.head().revision };
    this.#open.add(change);
    return () => this.#open.delete(change);
  }

  /**
   * A change was committed, its caller was told that the log refused it, and the log gets it as soon as it is back.
   * `recorded`: what `changeBegins` gave.
   */
  owe(revision: Revision, recorded: () => void): void {
    this.#owed.push({ revision, recorded });
    this.#repaySoon();
  }

  /** Tries once more to write what is owed. False when the log must not be closed, so that the next start completes it. */
  async repay(): Promise<boolean> {
    clearTimeout(this.#repaying);
    this.#repaying = undefined;
    const owed = this.#owed;
    this.#owed = [];
    for (const debt of owed) {
      const change = this.#storage.changeAt(debt.revision);
      try {
        if (change !== undefined) await this.#log.append(completedRecord(change));
        debt.recorded();
      } catch {
        this.#owed.push(debt);
      }
    }
    if (this.#owed.length > 0) this.#repaySoon();
    return this.#open.size === 0;
  }

  #repaySoon(): void {
    this.#repaying ??= setTimeout(() => void this.repay(), REPAY_MS).unref();
  }

  disclosed(call: Call, name: SecretName, slot: SlotMeta): Promise<void> {
    return this.#append(call, { secret: name, slot: slot.slot, revision: slot.valueRevision, code: "OK" });
  }

  /** Metadata of one secret, or of the whole list. */
  listed(call: Call, name?: SecretName): Promise<void> {
    return this.#append(call, { ...(name === undefined ? {} : { secret: name }), code: "OK" });
  }

  answered(call: Call, result: CommitResult, subject: Subject, changed: boolean): Promise<void> {
    const slot = result.slot?.slot;
    return this.#append(call, {
      ...about({ ...subject, ...(slot === undefined ? {} : { slot }) }),
      revision: result.revision,
      code: "OK",
      changed,
    });
  }

  refused(call: Call, error: SlotsError, subject: Subject): Promise<void> {
    return this.#append(call, { ...about(subject), code: error.code, reason: error.reason });
  }

  /**
   * An event of a watch. Streams that get the same one in one turn share a record, which holds their value until it
   * is written.
   */
  delivered(
    call: Call,
    event: "current" | "absent" | "slot" | "removed" | "failed",
    secret: SecretName,
    slot: SlotNumber | undefined,
    revision: Revision,
    value?: SecretValue,
  ): Promise<void> {
    const { rpc } = call;
    let delivery = this.#latest;
    if (
      delivery?.secret !== secret ||
      delivery.revision !== revision ||
      delivery.slot !== slot ||
      delivery.event !== event ||
      delivery.rpc !== rpc
    ) {
      delivery = this.#deliveryOf({ rpc, event, secret, slot, revision });
      this.#latest = delivery;
    }
    if (value !== undefined && delivery.values.at(-1) !== value) {
      value.hold();
      delivery.values.push(value);
    }
    delivery.streams.push(call.caller);
    return delivery.written;
  }

  #deliveryOf(what: Omit<DeliveryRecord, "kind" | "streams">): Delivery {
    const key = `${what.rpc} ${what.event} ${what.secret} ${what.slot} ${what.revision}`;
    const known = this.#deliveries.get(key);
    if (known !== undefined) return known;
    const streams: AuditCaller[] = [];
    const values: SecretValue[] = [];
    const written = Promise.resolve()
      .then(() => {
        this.#deliveries.delete(key);
        this.#latest = undefined;
        return this.#log.append({ kind: "delivery", ...what, streams });
      })
      .finally(() => {
        for (const value of values) value.release();
      });
    const delivery = { ...what, streams, values, written };
    this.#deliveries.set(key, delivery);
    return delivery;
  }

  #append(call: Call, fields: Omit<CallRecord, "kind" | "caller" | "rpc">): Promise<void> {
    return this.#log.append({ kind: "call", caller: call.caller, rpc: call.rpc, ...fields });
  }
}

/** Callers that proved nothing, by address; the log adds them up. */
export interface StrangerLog {
  refused(address: string, code: ErrorCode): void;
}

function about({ name, slot, requestId, subject }: Subject) {
  return {
    ...(name === undefined ? {} : { secret: name }),
    ...(slot === undefined ? {} : { slot }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(subject === undefined ? {} : { subject }),
  };
}
