import type { Head } from "../storage/records.ts";
import type { Authenticator } from "./authenticator.ts";
import type { Authorizer } from "./authorizer.ts";
import type { Call } from "./call.ts";

/**
 * Whether a stream may go on: asked with the head of each read whose result it is about to deliver, so that
 * nothing committed after a revocation leaves (W12).
 */
export class Session {
  readonly #authenticator: Authenticator;
  readonly #authorizer: Authorizer;
  readonly #call: Call;
  /** What was last allowed: as long as no right moved since, only the clock and the certificate are asked. */
  #allowed: { readonly head: Head; readonly name: string | undefined } | undefined;

  constructor(authenticator: Authenticator, authorizer: Authorizer, call: Call) {
    this.#authenticator = authenticator;
    this.#authorizer = authorizer;
    this.#call = call;
  }

  require(head: Head, name?: string): void {
    const { identity } = this.#call;
    const allowed = this.#allowed;
    if (allowed !== undefined && allowed.name === name && sameRights(allowed.head, head)) {
      this.#authenticator.requireCurrent(identity);
      return;
    }
    this.#allowed = undefined;
    this.#authenticator.recheck(head, identity);
    this.#authorizer.require(head, this.#call, name);
    this.#allowed = { head, name };
  }

  /** How long a stream may wait before it has to ask again, although nothing rang; at most `ms`. */
  atMost(ms: number, now: () => number): number {
    const { expireTime } = this.#call.identity.principal;
    return expireTime === undefined ? ms : Math.max(0, Math.min(ms, expireTime - now()));
  }
}

function sameRights(a: Head, b: Head): boolean {
  return a === b || (a.accessRevision === b.accessRevision && a.epoch === b.epoch);
}
