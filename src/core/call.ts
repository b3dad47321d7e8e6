import type { AuditCaller } from "../audit/audit-log.ts";
import type { Principal } from "../domain/access.ts";
import type { Head } from "../storage/records.ts";
import type { Rpc } from "./required-action.ts";

/** What is known of a call besides its request. */
export interface Call {
  readonly rpc: Rpc;
  /** The address it came from, for the audit log. */
  readonly peer: string;
  /** The same for calls of one connection, to be compared. A peer may be many: all of a Unix socket have no address. */
  readonly connection: unknown;
  readonly identity: Identity;
  /** How the audit log names whoever calls; made once, since a stream is recorded again and again. */
  readonly caller: AuditCaller;
  /** Where the store stood when the call had come in: what is kept in memory is true of it (W10). */
  readonly head: Head;
  /** Aborted when the caller goes away, the deadline passes, or the server stops. */
  readonly signal: AbortSignal;
}

/**
 * Hands a message to a stream. Calls `taken` once it may have the next one, or the call was aborted, which may be at
 * once; never throws, and drops what comes after the abort.
 */
export type Send<M> = (message: M, taken: () => void) => void;

/** `send` for those who wait by promise. */
export function sent<M>(send: Send<M>, message: M): Promise<void> {
  return new Promise((resolve) => send(message, resolve));
}

/** A principal, and what proves that it still is one. */
export interface Identity {
  readonly principal: Principal;
  readonly proof: Proof;
}

export type Proof =
  | { readonly kind: "token"; readonly hash: Uint8Array; readonly hashKey: string }
  | { readonly kind: "jwt" }
  /** The certificate can be revoked by a newer list while its connection is open. */
  | { readonly kind: "certificate"; readonly isRevoked: () => boolean };
