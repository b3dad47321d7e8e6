import type { StrangerLog } from "../core/auditor.ts";
import type { Authenticator } from "../core/authenticator.ts";
import { unauthenticated } from "../core/authenticator.ts";
import type { Call, Identity } from "../core/call.ts";
import type { OpenedSecrets } from "../core/opened-secrets.ts";
import { isWatch } from "../core/required-action.ts";
import { SlotsError } from "../domain/errors.ts";
import type { Head } from "../storage/records.ts";
import { LateRefusals } from "./late-refusals.ts";
import { type ConcurrencyLimit, type FailedLogins, peerAddress } from "./limits.ts";
import { NarrowConnections } from "./narrow-connections.ts";
import type { ArrivedCall } from "./server-call.ts";
import type { CertifiedCall, ClientCertificate } from "./tls/tls.ts";

export interface DoorOptions {
  readonly authenticator: Authenticator;
  readonly opened: OpenedSecrets;
  readonly strangers: StrangerLog;
  readonly failedLogins: FailedLogins;
  readonly calls: ConcurrencyLimit;
  readonly watches: ConcurrencyLimit;
  readonly maxStreamsPerConnection: number;
  /** Whether the peer's connection is one too many of its address. */
  readonly isCrowded: (peer: string) => boolean;
  /** The identity of a call's client certificate, where TLS asks for one. */
  readonly clientCertificate: (call: CertifiedCall) => ClientCertificate | undefined;
}

/** Finds out who calls, and holds callers to their bounds. Everything behind it has a principal. */
export class Door {
  readonly #options: DoorOptions;
  readonly #late = new LateRefusals();
  readonly #connections: NarrowConnections;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#connections = new NarrowConnections({ wide: options.maxStreamsPerConnection });
  }

  /** `head`: where the store stands, read after the call had come in (W10). */
  enter(call: ArrivedCall, head?: Head): Call | Promise<Call> {
    const { peer } = call;
    if (this.#options.isCrowded(peer)) throw tooManyConnections();
    try {
      const stand = head ?? this.#options.opened.sync();
      const identity = this.#identify(call, stand);
      if (!(identity instanceof Promise)) return this.#admit(call, identity, stand);
      return identity.then(
        (known) => this.#admit(call, known, stand),
        (error: unknown) => this.#turnAway(peer, error),
      );
    } catch (error) {
      return this.#turnAway(peer, error);
    }
  }

  left(call: ArrivedCall): void {
    call.leave?.();
  }

  /** Makes nobody wait any more. */
  close(): void {
    this.#connections.close();
    this.#late.flush();
  }

  #identify(call: ArrivedCall, head: Head): Identity | Promise<Identity> {
    const { authenticator, clientCertificate, failedLogins } = this.#options;
    const certificate = clientCertificate(call.certified);
    const bearer = bearerOf(call.authorization);
    // A token of ours costs one hash to refuse; a signature costs more, so who failed too often waits before it.
    if (bearer !== undefined && !bearer.startsWith("sst_")) failedLogins.check(peerAddress(call.peer));
    return authenticator.authenticate(head, { bearer, certificate });
  }

  #admit(call: ArrivedCall, identity: Identity, head: Head): Call {
    const { calls, watches } = this.#options;
    this.#connections.proved(call.peer);
    const limit = isWatch(call.rpc) ? watches : calls;
    const { name, method, proofId } = identity.principal;
    call.leave = limit.enter(name);
    call.forgetCredentials();
    return {
      rpc: call.rpc,
      peer: call.peer,
      connection: call.connection,
      identity,
      caller: { principal: name, method, proofId, peer: call.peer },
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
    if (tooMany !== undefined) return this.#refuseLate(peer, tooMany);
    failedLogins.failed(address);
    throw error;
  }

  async #refuseLate(peer: string, error: SlotsError): Promise<never> {
    this.#connections.failed(peer);
    await this.#late.turn();
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
function bearerOf(headers: ArrivedCall["authorization"]): string | undefined {
  const [header] = headers;
  if (header === undefined) return undefined;
  // Two headers would leave open which one counts.
  if (headers.length > 1 || typeof header !== "string") throw unauthenticated();
  const match = /^bearer +([!-~]+) *$/i.exec(header);
  if (match?.[1] === undefined) throw unauthenticated();
  return match[1];
}
