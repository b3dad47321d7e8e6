import { type Action, type Policy, type Principal, ROOT_POLICY } from "../domain/access.ts";
import { SlotsError } from "../domain/errors.ts";
import type { Head } from "../storage/records.ts";
import type { Storage } from "../storage/storage.ts";
import type { Call } from "./call.ts";
import { REQUIRED_ACTION } from "./required-action.ts";

/** A prefix with any other character begins no name. */
const NAME_CHARACTERS = /^[A-Za-z0-9._/-]*$/;

/** Why an access is allowed. */
export interface Grant {
  readonly policy: string;
  readonly rule: number;
  readonly pattern: string;
}

/** What is asked of a call: which RPC it is, and whose. */
type CallerOf = Pick<Call, "rpc" | "identity">;

/** One action's grants of one principal: a look-up by exact name, then one for each length that a prefix has. */
interface ActionGrants {
  readonly exact: ReadonlyMap<string, Grant>;
  /** A prefix that a shorter one covers is left out. */
  readonly prefixes: ReadonlyMap<string, Grant>;
  /** Rising, each once: at most 256, however many prefixes there are. */
  readonly lengths: readonly number[];
}

type PrincipalGrants = ReadonlyMap<Action, ActionGrants>;

/** What a principal may see of names, as ranges in byte order that do not overlap. */
export interface NameRange {
  readonly from: string;
  readonly until?: string;
}

/**
 * The one resolver of policies: every RPC asks it, so Watch and Get cannot disagree. Default deny; rules only
 * allow. Policies are compiled for a principal once per change of the access revision, so a decision costs the
 * same with one policy as with a thousand.
 *
 * Safe against a stale answer (W12): each decision names the head of the read it is for, and a compiled set
 * older than that head's access revision is thrown away first. A set newer than the head is fine: a right that
 * was taken away since only ends the call sooner.
 */
export class Authorizer {
  readonly #storage: Storage;
  #accessRevision = -1n;
  #epoch = "";
  #policies: readonly Policy[] = [];
  /** By the object: identities are cached, so a caller's grants are found without building a key from its groups. */
  #compiled = new WeakMap<object, PrincipalGrants>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /**
   * Throws PERMISSION_DENIED unless the caller may do what its RPC needs on that name; the same whether or not the
   * name exists, since it looks at nothing but its arguments (S3). `name` is left out where the RPC is about none.
   */
  require(head: Head, call: CallerOf, name?: string): void {
    const action = REQUIRED_ACTION[call.rpc];
    if (action === "identity") return;
    const { principal } = call.identity;
    if (action === "admin") this.requireAdmin(head, principal);
    else if (name === undefined || this.explain(head, principal, action, name) === undefined) {
      throw permissionDenied();
    }
  }

  explain(
    head: Head,
    principal: Pick<Principal, "name" | "groups">,
    action: Action,
    name: string,
  ): Grant | undefined {
    const grants = this.#grantsOf(head, principal).get(action);
    if (grants === undefined) return undefined;
    const exact = grants.exact.get(name);
    if (exact !== undefined) return exact;
    for (const length of grants.lengths) {
      if (length > name.length) return undefined;
      const grant = grants.prefixes.get(name.slice(0, length));
      if (grant !== undefined) return grant;
    }
    return undefined;
  }

  /** `admin` is about the server, not about names: any rule with the action gives it. */
  requireAdmin(head: Head, principal: Principal): void {
    if (this.explainAdmin(head, principal) === undefined) throw permissionDenied();
  }

  explainAdmin(head: Head, principal: Pick<Principal, "name" | "groups">): Grant | undefined {
    const grants = this.#grantsOf(head, principal).get("admin");
    return grants?.prefixes.values().next().value ?? grants?.exact.values().next().value;
  }

  /** The names below `prefix` that the principal may list; throws PERMISSION_DENIED when it has no list grant at all. */
  listRanges(head: Head, call: CallerOf, prefix: string): readonly NameRange[] {
    const grants = this.#grantsOf(head, call.identity.principal).get("list");
    if (grants === undefined) throw permissionDenied();
    if (!NAME_CHARACTERS.test(prefix)) return [];
    const ranges: NameRange[] = [];
    for (const granted of grants.prefixes.keys()) {
      if (granted.startsWith(prefix)) ranges.push(rangeOf(granted));
      else if (prefix.startsWith(granted)) ranges.push(rangeOf(prefix));
    }
    for (const name of grants.exact.keys()) {
      // A name followed by the smallest character that a name can't hold: a range of that name alone.
      if (name.startsWith(prefix)) ranges.push({ from: name, until: `${name}\u0000` });
    }
    return merge(ranges);
  }

  policiesOf(head: Head, principal: Pick<Principal, "name" | "groups">): readonly string[] {
    this.#refresh(head);
    return [ROOT_POLICY, ...this.#policies]
      .filter((policy) => binds(policy, principal))
      .map(({ name }) => name);
  }

  #grantsOf(head: Head, principal: Pick<Principal, "name" | "groups">): PrincipalGrants {
    this.#refresh(head);
    let grants = this.#compiled.get(principal);
    if (grants === undefined) {
      grants = compile([ROOT_POLICY, ...this.#policies].filter((policy) => binds(policy, principal)));
      this.#compiled.set(principal, grants);
    }
    return grants;
  }

  #refresh(head: Head): void {
    if (this.#accessRevision >= head.accessRevision && this.#epoch === head.epoch) return;
    const access = this.#storage.readAccess();
    this.#accessRevision = access.head.accessRevision;
    this.#epoch = access.head.epoch;
    this.#policies = access.policies;
    this.#compiled = new WeakMap();
  }
}

/** Whether these policies, once in force, would give the principal `admin`. */
export function hasAdmin(
  policies: readonly Policy[],
  principal: Pick<Principal, "name" | "groups">,
): boolean {
  return [ROOT_POLICY, ...policies].some(
    (policy) => binds(policy, principal) && policy.rules.some((rule) => rule.actions.includes("admin")),
  );
}

export function permissionDenied(): SlotsError {
  return new SlotsError("PERMISSION_DENIED", "this identity is not allowed to do that");
}

function binds(policy: Policy, principal: Pick<Principal, "name" | "groups">): boolean {
  return (
    policy.principals.some((pattern) => matches(pattern, principal.name)) ||
    policy.groups.some((group) => principal.groups.includes(group))
  );
}

function matches(pattern: string, text: string): boolean {
  return pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
}

function compile(policies: readonly Policy[]): PrincipalGrants {
  const byAction = new Map<Action, { exact: Map<string, Grant>; prefixes: Map<string, Grant> }>();
  for (const policy of policies) {
    policy.rules.forEach((rule, index) => {
      for (const action of rule.actions) {
        let grants = byAction.get(action);
        if (grants === undefined) {
          grants = { exact: new Map(), prefixes: new Map() };
          byAction.set(action, grants);
        }
        for (const pattern of rule.names) {
          const grant = { policy: policy.name, rule: index, pattern };
          const [into, key] = pattern.endsWith("*")
            ? [grants.prefixes, pattern.slice(0, -1)]
            : [grants.exact, pattern];
          if (!into.has(key)) into.set(key, grant);
        }
      }
    });
  }
  const compiled = new Map<Action, ActionGrants>();
  for (const [action, { exact, prefixes }] of byAction) {
    // In order of text, whatever a prefix covers follows it at once: comparing with the last one kept is enough.
    const kept = new Map<string, Grant>();
    let last: string | undefined;
    for (const [prefix, grant] of [...prefixes].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (last !== undefined && prefix.startsWith(last)) continue;
      last = prefix;
      kept.set(prefix, grant);
    }
    const lengths = [...new Set([...kept.keys()].map((prefix) => prefix.length))].sort((a, b) => a - b);
    compiled.set(action, { exact, prefixes: kept, lengths });
  }
  return compiled;
}

/** Names are ASCII, so byte order and the order of strings are one, and U+007F is past every character of a name. */
function rangeOf(prefix: string): NameRange {
  return prefix === "" ? { from: "" } : { from: prefix, until: `${prefix}\u007f` };
}

function merge(ranges: NameRange[]): readonly NameRange[] {
  const merged: NameRange[] = [];
  for (const range of ranges.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const last = merged.at(-1);
    if (last === undefined || (last.until !== undefined && last.until < range.from)) merged.push(range);
    else if (last.until !== undefined && (range.until === undefined || range.until > last.until)) {
      merged[merged.length - 1] =
        range.until === undefined ? { from: last.from } : { from: last.from, until: range.until };
    }
  }
  return merged;
}
