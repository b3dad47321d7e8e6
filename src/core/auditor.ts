import type { AuditCaller, AuditLog, CallRecord } from "../audit/audit-log.ts";
import { type ErrorCode, SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import type { Revision, SlotNumber } from "../domain/numbers.ts";
import type { CommitResult } from "../storage/commit.ts";
import type { SlotMeta } from "../storage/records.ts";
import type { Call } from "./call.ts";
import type { Subject } from "./recorded.ts";

interface Delivery {
  readonly streams: AuditCaller[];
  readonly written: Promise<void>;
}

/** Says what goes into the audit log; each method resolves when the record is there and the answer may leave (S4). */
export class Auditor {
  readonly #log: AuditLog;
  readonly #callers = new WeakMap<Call, AuditCaller>();
  readonly #deliveries = new Map<string, Delivery>();
  /** Where the store stood when each change began that is not in the log yet. */
  readonly #open = new Set<{ readonly since: Revision }>();
  readonly #storeRevision: () => Revision;

  constructor(log: AuditLog, storeRevision: () => Revision) {
    this.#log = log;
    this.#storeRevision = storeRevision;
  }

  /** The revision up to which every change that this process made is in the log. */
  covered(): Revision {
    let covered = this.#storeRevision();
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
    const change = { since: this.#storeRevision() };
    this.#open.add(change);
    return () => this.#open.delete(change);
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

  /** An event of a watch. Streams that get the same one in one turn share a record. */
  delivered(
    call: Call,
    event: "current" | "absent" | "slot" | "removed" | "failed",
    secret: SecretName,
    slot: SlotNumber | undefined,
    revision: Revision,
  ): Promise<void> {
    const key = `${call.rpc} ${event} ${secret} ${slot} ${revision}`;
    let delivery = this.#deliveries.get(key);
    if (delivery === undefined) {
      const streams: AuditCaller[] = [];
      const written = Promise.resolve().then(() => {
        this.#deliveries.delete(key);
        return this.#log.append({ kind: "delivery", rpc: call.rpc, event, secret, slot, revision, streams });
      });
      delivery = { streams, written };
      this.#deliveries.set(key, delivery);
    }
    delivery.streams.push(this.#callerOf(call));
    return delivery.written;
  }

  #append(call: Call, fields: Omit<CallRecord, "kind" | "caller" | "rpc">): Promise<void> {
    return this.#log.append({ kind: "call", caller: this.#callerOf(call), rpc: call.rpc, ...fields });
  }

  #callerOf(call: Call): AuditCaller {
    let caller = this.#callers.get(call);
    if (caller === undefined) {
      const { name, method, proofId } = call.identity.principal;
      caller = { principal: name, method, proofId, peer: call.peer };
      this.#callers.set(call, caller);
    }
    return caller;
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
