import type { IdentityMethod } from "../domain/access.ts";
import type { ErrorCode } from "../domain/errors.ts";
import type { Revision } from "../domain/numbers.ts";
import type { AuditFilter, LoggedRecord } from "./search.ts";

/** Who acted, as proven. `offline` is whoever owns the files of the store. */
export interface AuditCaller {
  readonly principal: string;
  readonly method: IdentityMethod | "offline";
  /** The public id of the token, or the certificate's serial. */
  readonly proofId: string;
  /** The other end's address, such as `10.0.0.7:51234` or `unix`. */
  readonly peer: string;
  /** The same as JSON, kept here once it was made: a stream is named in the record of each event that it gets. */
  json?: string;
}

/** One call that disclosed or changed something, or was refused. */
export interface CallRecord {
  readonly kind: "call";
  readonly caller: AuditCaller;
  readonly rpc: string;
  readonly secret?: string | undefined;
  readonly slot?: bigint | undefined;
  readonly revision?: bigint | undefined;
  /** What else it was about: a token's public id, a master key's id, the name of a policy. */
  readonly subject?: string | undefined;
  readonly code: ErrorCode | "OK";
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  /** True when the call made the commit `revision`; a call that changed nothing leaves it out. */
  readonly changed?: boolean | undefined;
}

/** One event of a watch, on its way to these streams. */
export interface DeliveryRecord {
  readonly kind: "delivery";
  readonly rpc: string;
  /** The event's name on the wire: `current`, `absent`, `slot` … */
  readonly event: string;
  readonly secret: string;
  readonly slot?: bigint | undefined;
  readonly revision: bigint;
  readonly streams: readonly AuditCaller[];
}

/** Callers that proved nothing, counted over a second. */
export interface RefusalsRecord {
  readonly kind: "refusals";
  /** Undefined: all addresses that got no record of their own. */
  readonly address: string | undefined;
  readonly count: number;
  readonly code: ErrorCode;
}

/** A change that an earlier process committed and then could not log; taken from the store's change records. */
export interface CompletedRecord {
  readonly kind: "completed";
  readonly revision: bigint;
  /** When the change was committed, Unix milliseconds. */
  readonly changeTime: number;
  /** What was changed, as the change record names it. */
  readonly change: string;
  readonly principal: string;
  readonly rpc: string;
  readonly secret?: string | undefined;
  readonly slot?: bigint | undefined;
  readonly subject?: string | undefined;
  readonly requestId?: string | undefined;
}

/** Files of the log that are about to be removed, because they are older than the log is kept. */
export interface PrunedRecord {
  readonly kind: "pruned";
  readonly chain: string;
  /** They are the chain's segments up to this one. */
  readonly segment: number;
  /** True when that is the whole of a chain that was closed. */
  readonly all?: boolean | undefined;
}

/** There is no room in a record for a value, a token or a claim set, so none can get into the log (S1). */
export type AuditRecord = CallRecord | DeliveryRecord | RefusalsRecord | CompletedRecord | PrunedRecord;

/** How far one chain had come; kept in the store, outside the log, so that a cut is found (S4). */
export interface AuditAnchor {
  /** One chain per server process: 32 lower-case hex digits. */
  readonly chain: string;
  /** Lines of the chain so far, those of the log's own included: the last one's `seq`. 0: all of it was pruned. */
  readonly records: bigint;
  /** The mac of that line, 32 bytes. */
  readonly head: Uint8Array;
  /** The store's revision up to which changes are known to be in the log. */
  readonly revision: Revision;
  readonly time: number;
  /** Set once the chain was closed in order. */
  readonly closed: boolean;
}

/**
 * `ok`; `reserve`: the disk is full and the log lives on the room it kept; `unavailable`: the last write
 * failed, nothing may be disclosed; `closed`.
 */
export type AuditState = "ok" | "reserve" | "unavailable" | "closed";

export interface AuditLog {
  /** The chain that this process writes. */
  readonly chain: string;
  readonly state: AuditState;

  /**
   * Resolves once the record is in the log, so that what it tells of may leave (S4). Records of one turn of
   * the event loop are written together and share one promise. Rejects with AUDIT_UNAVAILABLE when the log
   * can't be written; the next append tries again.
   */
  append(record: AuditRecord): Promise<void>;

  /** Writes what is appended at once, not after this turn: for whoever gathered all that came in it. */
  flush(): void;

  /**
   * Records that match, oldest first, from all chains of this log. With `follow` it goes on with new ones
   * until its signal aborts.
   */
  search(filter: AuditFilter): AsyncIterable<LoggedRecord>;

  /** Writes what is pending and ends the chain in order. Later appends are refused. */
  close(): Promise<void>;
}
