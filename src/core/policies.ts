import { createHash } from "node:crypto";
import { type Action, type Policy, type Principal, parsePolicies } from "../domain/access.ts";
import { SlotsError } from "../domain/errors.ts";
import type { Revision } from "../domain/numbers.ts";
import { type Grant, hasAdmin } from "./authorizer.ts";
import type { Call } from "./call.ts";
import { Change, retriesExhausted } from "./change.ts";
import type { Core } from "./core.ts";
import { recorded } from "./recorded.ts";

export interface PolicySet {
  readonly policies: readonly Policy[];
  readonly etag: string;
}

export function listPolicies(core: Core, call: Call): Promise<PolicySet> {
  return recorded(core, call, {}, async () => {
    core.authorizer.require(core.opened.sync(), call);
    const { policies } = core.storage.readAccess();
    await core.audit.listed(call);
    return { policies, etag: etagOfPolicies(policies) };
  });
}

export interface PolicyChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly etag: string;
  readonly revision: Revision;
  readonly warnings: readonly string[];
}

/** Replaces the whole set in one commit, or with `dryRun` only says what would change. */
export function applyPolicies(
  core: Core,
  call: Call,
  request: { readonly policies: readonly Policy[]; readonly etag: string; readonly dryRun: boolean },
): Promise<PolicyChanges> {
  return recorded(core, call, {}, async () => {
    const { principal } = call.identity;
    core.authorizer.require(core.opened.sync(), call);
    const wanted = parsePolicies(request.policies);
    const change = new Change(core, call);
    for (let attempt = 0; attempt < 100; attempt++) {
      const { head, policies } = core.storage.readAccess();
      core.authorizer.require(head, call);
      const etag = etagOfPolicies(policies);
      if (request.etag !== "" && request.etag !== etag) {
        throw new SlotsError("ETAG_MISMATCH", `the policies have the etag ${etag} today; read them again`, {
          metadata: { etag },
        });
      }
      const names = difference(policies, wanted);
      const warnings = hasAdmin(wanted, principal)
        ? []
        : [`'${principal.name}' loses the action admin; only the admin token can give it back`];
      const after = { ...names, etag: etagOfPolicies(wanted), warnings };
      const touched = [...names.added, ...names.changed, ...names.removed];
      if (request.dryRun || touched.length === 0) {
        await core.audit.listed(call);
        return { ...after, revision: head.revision };
      }
      const result = await change.commit(
        { kind: "replace-policies", policies: wanted, expectedAccessRevision: head.accessRevision },
        { subject: touched.join(" ").slice(0, 1024) },
      );
      if (result !== "moved") return { ...after, revision: result.revision };
    }
    throw retriesExhausted("the set of policies");
  });
}

/** Why a principal may do something; undefined when no rule allows it. Anyone may ask about themselves. */
export function checkAccess(
  core: Core,
  call: Call,
  request: {
    /** Undefined, or the caller's own name: the caller with its groups. */
    readonly principal: Pick<Principal, "name" | "groups"> | undefined;
    readonly action: Action;
    readonly name: string;
  },
): Promise<Grant | undefined> {
  return recorded(core, call, {}, async () => {
    const head = core.opened.sync();
    const caller = call.identity.principal;
    const other = request.principal?.name === caller.name ? undefined : request.principal;
    if (other !== undefined) {
      core.authorizer.requireAdmin(head, caller);
      await core.audit.listed(call);
    }
    const principal = other ?? caller;
    if (request.action === "admin") return core.authorizer.explainAdmin(head, principal);
    return core.authorizer.explain(head, principal, request.action, request.name);
  });
}

/** A digest of the content, so that it moves with the set and with nothing else. */
function etagOfPolicies(policies: readonly Policy[]): string {
  const digest = createHash("sha256")
    .update(JSON.stringify(policies.map(canonical)))
    .digest("hex");
  return `"${digest.slice(0, 32)}"`;
}

function difference(before: readonly Policy[], after: readonly Policy[]) {
  const old = new Map(before.map((policy) => [policy.name, canonical(policy)]));
  const kept = new Set(after.map(({ name }) => name));
  return {
    added: after.filter(({ name }) => !old.has(name)).map(({ name }) => name),
    changed: after
      .filter((policy) => old.has(policy.name) && old.get(policy.name) !== canonical(policy))
      .map(({ name }) => name),
    removed: before.filter(({ name }) => !kept.has(name)).map(({ name }) => name),
  };
}

function canonical({ name, comment, rules, principals, groups }: Policy): string {
  return JSON.stringify([name, comment, rules.map((rule) => [rule.actions, rule.names]), principals, groups]);
}
