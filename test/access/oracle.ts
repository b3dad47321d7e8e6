// Who may do what, once more: written from the documentation of policies alone, and so plainly that it can be
// checked by eye. The resolver (src/core/authorizer.ts) shares nothing with it.

export interface Caller {
  readonly principal: string;
  readonly groups: readonly string[];
}

export interface PolicyText {
  readonly name: string;
  readonly rules: readonly { readonly actions: readonly string[]; readonly names: readonly string[] }[];
  readonly principals: readonly string[];
  readonly groups: readonly string[];
}

/** Exact, or a prefix that ends in "*". */
const matches = (pattern: string, text: string): boolean =>
  pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern;

const isBound = (policy: PolicyText, caller: Caller): boolean =>
  policy.principals.some((pattern) => matches(pattern, caller.principal)) ||
  policy.groups.some((group) => caller.groups.includes(group));

/** Deny, unless a rule of a policy bound to the caller allows this very action on this name; `admin` is about no name. */
export const isAllowed = (policies: readonly PolicyText[], caller: Caller, action: string, name: string) =>
  policies.some(
    (policy) =>
      isBound(policy, caller) &&
      policy.rules.some(
        (rule) =>
          rule.actions.includes(action) &&
          (action === "admin" || rule.names.some((pattern) => matches(pattern, name))),
      ),
  );

/** The names that ListSecrets shows, or undefined when the caller has no grant to list anything at all. */
export const listed = (
  policies: readonly PolicyText[],
  caller: Caller,
  prefix: string,
  stored: readonly string[],
): string[] | undefined => {
  const mayList = policies.some(
    (policy) => isBound(policy, caller) && policy.rules.some((rule) => rule.actions.includes("list")),
  );
  if (!mayList) return undefined;
  return stored
    .filter((name) => name.startsWith(prefix) && isAllowed(policies, caller, "list", name))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
};
