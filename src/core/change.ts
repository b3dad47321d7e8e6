import { randomBytes, timingSafeEqual } from "node:crypto";
import { SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import type { Revision } from "../domain/numbers.ts";
import type { Commit, CommitResult, Mutation, Rejection, RequestKey } from "../storage/commit.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";
import { etagOf } from "./etag.ts";
import { REQUEST_ID_MS } from "./limits.ts";
import { secretNotFound, slotNotFound } from "./not-found.ts";
import type { Subject } from "./recorded.ts";

/** One change on its way: its request id, its commit, and its place in the audit log. */
export class Change {
  readonly #core: Core;
  readonly #call: Call;
  readonly #request: RequestKey | undefined;

  /** `content`: what makes two requests of one id the same. */
  constructor(core: Core, call: Call, requestId?: string, content: readonly (string | Uint8Array)[] = []) {
    this.#core = core;
    this.#call = call;
    this.#request =
      requestId === undefined
        ? undefined
        : {
            id: requestId,
            digest: core.digester.digest([call.rpc, ...content]),
            expireTime: core.now() + REQUEST_ID_MS,
          };
  }

  /** The first answer, when this request was answered before; throws REQUEST_ID_REUSED for other content. */
  replay(): CommitResult | undefined {
    if (this.#request === undefined) return undefined;
    const { rpc, identity } = this.#call;
    const kept = this.#core.storage.findRequest(identity.principal.name, rpc, this.#request.id);
    if (kept === undefined || kept.expireTime <= this.#core.now()) return undefined;
    if (!timingSafeEqual(kept.digest, this.#request.digest)) throw requestIdReused(this.#request.id);
    return kept.result;
  }

  /**
   * Commits, and records the change before it is told of; "moved" when what the mutation was decided on is no
   * longer so. A change that the log refuses is owed to it: it gets it once it is back, or from whoever takes the
   * store next.
   */
  async commit(mutation: Mutation, about: Subject = {}): Promise<CommitResult | "moved"> {
    await this.#core.audit.requireReady(this.#call, about);
    const recorded = this.#core.audit.changeBegins();
    const outcome = await this.#core.storage.commit(this.#commitOf(mutation)).catch((error: unknown) => {
      recorded();
      throw error;
    });
    if (outcome.kind === "committed") {
      await this.#answered(outcome.result, about, true).catch((error: unknown) => {
        this.#core.audit.owe(outcome.result.revision, recorded);
        throw error;
      });
    }
    recorded();
    switch (outcome.kind) {
      case "committed":
        return outcome.result;
      case "replayed":
        return this.answered(outcome.result, about);
      case "unchanged":
        return this.unchanged(outcome.result, about);
      case "rejected":
        if (isMoved(outcome.rejection)) return "moved";
        throw this.#rejected(outcome.rejection, mutation);
      default:
        return outcome satisfies never;
    }
  }

  /** Commits a mutation that is decided in the store alone, so that there is nothing it could have moved from. */
  async commitDecided(
    mutation: Exclude<Mutation, { kind: "put-slot" | "replace-policies" }>,
    about: Subject = {},
  ): Promise<CommitResult> {
    const result = await this.commit(mutation, about);
    if (result === "moved") throw new SlotsError("INTERNAL", `the store moved under a '${mutation.kind}'`);
    return result;
  }

  /** Records an answer that changed nothing now. */
  answered(result: CommitResult, about: Subject): Promise<CommitResult> {
    return this.#answered(result, about, false);
  }

  /** An answer that changed nothing; kept all the same when the request has an id, so that a retry gets it again. */
  async unchanged(result: CommitResult, about: Subject): Promise<CommitResult> {
    if (this.#request !== undefined) {
      const kept = await this.#core.storage.commit(this.#commitOf({ kind: "keep-request", result }));
      if (kept.kind === "rejected" && kept.rejection.kind === "request-id-reused") {
        throw requestIdReused(this.#request.id);
      }
      // The same request beside this one was first: both are answered as it was.
      if (kept.kind === "replayed") return this.answered(kept.result, about);
    }
    return this.answered(result, about);
  }

  async #answered(result: CommitResult, about: Subject, changed: boolean): Promise<CommitResult> {
    await this.#core.audit.answered(this.#call, result, about, changed);
    return result;
  }

  #commitOf(mutation: Mutation): Commit {
    return {
      commitId: randomBytes(16),
      time: this.#core.now(),
      principal: this.#call.identity.principal.name,
      rpc: this.#call.rpc,
      ...(this.#request === undefined ? {} : { request: this.#request }),
      mutation,
    };
  }

  #rejected(rejection: Exclude<Rejection, Moved>, mutation: Mutation): SlotsError {
    const name = "name" in mutation ? mutation.name : ("" as SecretName);
    switch (rejection.kind) {
      case "revision-mismatch": {
        if (mutation.kind === "put-slot") return revisionMismatch(name, rejection.revision);
        const etag = etagOf(this.#core.storage.head().epoch, rejection.revision);
        return new SlotsError("ETAG_MISMATCH", `secret '${name}' has the etag ${etag} today; read it again`, {
          metadata: { name, etag, revision: String(rejection.revision) },
        });
      }
      case "secret-not-found":
        return secretNotFound(name);
      case "slot-not-found":
        return "slot" in mutation ? slotNotFound(name, mutation.slot) : secretNotFound(name);
      case "slot-destroyed":
        return new SlotsError("SLOT_DESTROYED", `the slot of '${name}' was destroyed and can't come back`, {
          metadata: { name },
        });
      case "too-many-slots":
        return new SlotsError(
          "TOO_MANY_SLOTS",
          `secret '${name}' has the most slots a secret may have, ${this.#core.limits.maxSlotsPerSecret}`,
          { metadata: { name, limit: String(this.#core.limits.maxSlotsPerSecret) } },
        );
      case "request-id-reused":
        return requestIdReused(this.#request?.id ?? "");
      case "token-not-found":
        return new SlotsError("TOKEN_NOT_FOUND", "there is no token of that id");
      case "key-not-found":
        return new SlotsError("KEY_NOT_FOUND", "the store knows no master key of that id");
      case "key-in-use":
        return new SlotsError(
          "KEY_IN_USE",
          `the master key still wraps ${rejection.count} keys, or is the primary; rotate first, then retire it`,
          { metadata: { count: String(rejection.count) } },
        );
      default:
        return rejection satisfies never;
    }
  }
}

type Moved = Extract<Rejection, { kind: "slot-moved" | "key-moved" | "access-moved" }>;

function isMoved(rejection: Rejection): rejection is Moved {
  return ["slot-moved", "key-moved", "access-moved"].includes(rejection.kind);
}

/** `what`: as it stands in a sentence, such as `secret 'a/b'`. */
export function retriesExhausted(what: string, metadata: Readonly<Record<string, string>> = {}): SlotsError {
  return new SlotsError("STORE_BUSY", `${what} changes too fast; try again`, { metadata, retryAfterMs: 100 });
}

export function revisionMismatch(name: SecretName, revision: Revision): SlotsError {
  return new SlotsError(
    "REVISION_MISMATCH",
    `secret '${name}' is at revision ${revision}, not the one expected`,
    {
      metadata: { name, revision: String(revision) },
    },
  );
}

function requestIdReused(id: string): SlotsError {
  const rule = "was used for another request within 24 hours; use a new id";
  return new SlotsError("REQUEST_ID_REUSED", `request_id: ${rule}`, {
    metadata: { field: "request_id", requestId: id },
    violations: [{ field: "request_id", rule }],
  });
}
