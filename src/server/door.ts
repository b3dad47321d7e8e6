import type { StrangerLog } from "../core/auditor.ts";
import type { Authenticator } from "../core/authenticator.ts";
import { unauthenticated } from "../core/authenticator.ts";
import type { Call, Identity } from "../core/call.ts";
import type { OpenedSecrets } from "../core/opened-secrets.ts";
import { SlotsError } from "../domain/errors.ts";
import type { Head } from "../storage/records.ts";
import { type ConcurrencyLimit, type FailedLogins, LateRefusals, peerAddress } from "./limits.ts";
import type { RawCall, ServerCall } from "./server-call.ts";
import type { ClientCertificate } from "./tls/tls.ts";

export interface DoorOptions {
  readonly authenticator: Authenticator;
  readonly opened: OpenedSecrets;
  readonly strangers: StrangerLog;
  readonly failedLogins: FailedLogins;
  readonly calls: ConcurrencyLimit;
  readonly watches: ConcurrencyLimit;
  /** Whether the peer's connection is one too many of its address. */
  readonly isCrowded: (peer: string) => boolean;
  /** The identity of a call's client certificate, where TLS asks for one. */
  readonly clientCertificate: (raw: RawCall) => ClientCertificate | undefined;
}

/** Finds out who calls, and holds callers to their bounds. Everything behind it has a principal. */
export class Door {
  readonly #options: DoorOptions;
  readonly #leave = new WeakMap<ServerCall, () => void>();
  readonly #late = new LateRefusals();

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  enter(call: ServerCall): Call | Promise<Call> {
    const peer = call.raw.getPeer();
    if (this.#options.isCrowded(peer)) throw tooManyConnections();
    try {
      const head = this.#options.opened.sync();
      const identity = this.#identify(call, head);
      if (!(identity instanceof Promise)) return this.#admit(call, peer, identity, head);
      return identity.then(
        (known) => this.#admit(call, peer, known, head),
        (error: unknown) => this.#turnAway(peer, error),
      );
    } catch (error) {
      return this.#turnAway(peer, error);
    }
  }

  left(call: ServerCall): void {
    this.#leave.get(call)?.();
  }

  #identify(call: ServerCall, head: Head): Identity | Promise<Identity> {
    const { authenticator, clientCertificate, failedLogins } = this.#options;
    const certificate = clientCertificate(call.raw);
    const bearer = bearerOf(call.raw);
    // A token of ours costs one hash to refuse; a signature costs more, so who failed too often waits before it.
    if (bearer !== undefined && !bearer.startsWith("sst_"))
      failedLogins.check(peerAddress(call.raw.getPeer()));
    return authenticator.authenticate(head, { bearer, certificate });
  }

  #admit(call: ServerCall, peer: string, identity: Identity, head: Head): Call {
    const { calls, watches } = this.#options;
    const limit = call.rpc.startsWith("Watch") ? watches : calls;
    this.#leave.set(call, limit.enter(identity.principal.name));
    return {
      rpc: call.rpc,
      peer,
      identity,
      head,
      get signal() {
        return call.signal;
      },
    };
  }

  /** Refuses, counts and records; who failed too often has to wait, and learns nothing else. */
  #turnAway(peer: string, error: unknown): Promise<never> {
    const { failedLogins, strangers } = this.#options;
    if (!(error instanceof SlotsError)) throw error;
    const unseen = error.reason === "TOO_MANY_FAILED_LOGINS";
    if (!unseen && error.code !== "UNAUTHENTICATED") throw error;
    const address = peerAddress(peer);
    strangers.refused(address, error.code);
    const tooMany = unseen ? error : failedLogins.refusal(address);
    if (tooMany !== undefined) return this.#late.refuse(tooMany);
    failedLogins.failed(address);
    throw error;
  }
}

function tooManyConnections(): SlotsError {
  return new SlotsError(
    "TOO_MANY_CONNECTIONS",
    "too many connections from this address; use those that are open",
    {
      retryAfterMs: 1000,
    },
  );
}

/** What follows `Bearer `; undefined when there is no authorization at all. Anything else is no identity. */
function bearerOf(raw: RawCall): string | undefined {
  const headers = raw.metadata.get("authorization");
  const [header] = headers;
  if (header === undefined) return undefined;
  // Two headers would leave open which one counts.
  if (headers.length > 1 || typeof header !== "string") throw unauthenticated();
  const match = /^bearer +([!-~]+) *$/i.exec(header);
  if (match?.[1] === undefined) throw unauthenticated();
  return match[1];
}
