import { invalidField } from "./errors.ts";

/** What a rule can allow. None implies another. */
export const ACTIONS = ["read", "watch", "list", "write", "manage", "admin"] as const;
export type Action = (typeof ACTIONS)[number];

/** How a caller proved who it is. */
export type IdentityMethod = "token" | "certificate" | "jwt";

/** Who a call comes from, however that was proven. */
export interface Principal {
  /** Such as `token:payments`, `spiffe://prod/pay`, `dns:pay.example` or `jwt:system:serviceaccount:shop:pay`. */
  readonly name: string;
  readonly groups: readonly string[];
  readonly method: IdentityMethod;
  /** The public id of the token, or the certificate's serial; names the proof in the audit log. */
  readonly proofId: string;
  /** When the proof ends, Unix milliseconds. */
  readonly expireTime: number | undefined;
}

export interface Rule {
  readonly actions: readonly Action[];
  /** Exact names, or prefixes ending in `*`; `*` alone is every name. */
  readonly names: readonly string[];
}

export interface Policy {
  readonly name: string;
  readonly comment: string;
  readonly rules: readonly Rule[];
  /** Exact principals, or prefixes ending in `*`. */
  readonly principals: readonly string[];
  /** Exact groups. */
  readonly groups: readonly string[];
}

/** The one that the first start makes and that break-glass tokens are for. Its rights can't be taken by a policy. */
export const ROOT_PRINCIPAL = "token:admin";

export const ROOT_POLICY: Policy = {
  name: "built-in/admin",
  comment: "The admin token may do everything.",
  rules: [{ actions: ACTIONS, names: ["*"] }],
  principals: [ROOT_PRINCIPAL],
  groups: [],
};

export const MAX_POLICIES = 1000;
const MAX_RULES = 256;
const MAX_PATTERNS = 256;
const IDENTIFIER = /^[A-Za-z0-9._/-]{1,128}$/;
const NAME_PATTERN = /^(?:[A-Za-z0-9._/-]{1,255}\*?|\*)$/;
/** Printable ASCII without a space: URIs, DNS names and claim values as they come. */
const PRINCIPAL_PATTERN = /^[!-~]{1,512}$/;

/** Checks one policy; `field` is its path in the request, such as `policies[2]`. */
export function parsePolicy(policy: Policy, field: string): Policy {
  if (!IDENTIFIER.test(policy.name) || policy.name.startsWith("built-in/")) {
    throw invalidField(
      `${field}.name`,
      "must be 1 to 128 characters of A-Z a-z 0-9 . _ / - and not begin with 'built-in/'",
    );
  }
  if (new TextEncoder().encode(policy.comment).length > 1024) {
    throw invalidField(`${field}.comment`, "must be at most 1024 bytes");
  }
  if (policy.rules.length > MAX_RULES) throw invalidField(`${field}.rules`, `must be at most ${MAX_RULES}`);
  policy.rules.forEach((rule, index) => {
    const path = `${field}.rules[${index}]`;
    if (rule.actions.length === 0) throw invalidField(`${path}.actions`, "must name at least one action");
    checkAll(rule.names, NAME_PATTERN, `${path}.names`, "must be a secret's name or a prefix ending in '*'");
    if (rule.names.length === 0) throw invalidField(`${path}.names`, "must have at least one name");
  });
  checkAll(
    policy.principals,
    PRINCIPAL_PATTERN,
    `${field}.principals`,
    "must be a principal or a prefix ending in '*', 1 to 512 printable characters",
  );
  for (const [index, principal] of policy.principals.entries()) {
    // "*" alone would let every certificate and every issuer's subject in: say it by a prefix instead.
    if (principal === "*") throw invalidField(`${field}.principals[${index}]`, "must not be '*' alone");
  }
  checkAll(policy.groups, PRINCIPAL_PATTERN, `${field}.groups`, "must be 1 to 512 printable characters");
  return policy;
}

export function parsePolicies(policies: readonly Policy[]): readonly Policy[] {
  if (policies.length > MAX_POLICIES) throw invalidField("policies", `must be at most ${MAX_POLICIES}`);
  const seen = new Set<string>();
  policies.forEach((policy, index) => {
    parsePolicy(policy, `policies[${index}]`);
    if (seen.has(policy.name)) throw invalidField(`policies[${index}].name`, "must not be there twice");
    seen.add(policy.name);
  });
  return [...policies].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function checkAll(texts: readonly string[], shape: RegExp, field: string, rule: string): void {
  if (texts.length > MAX_PATTERNS) throw invalidField(field, `must be at most ${MAX_PATTERNS}`);
  texts.forEach((text, index) => {
    if (!shape.test(text)) throw invalidField(`${field}[${index}]`, rule);
  });
}

const TOKEN_PRINCIPAL = /^token:[A-Za-z0-9._/-]{1,128}$/;
const GROUP = /^[!-~]{1,128}$/;

/** The principal of a token: `token:` may be left out. */
export function parseTokenPrincipal(text: string): string {
  const name = text.startsWith("token:") ? text : `token:${text}`;
  if (!TOKEN_PRINCIPAL.test(name)) {
    throw invalidField("principal", "must be 'token:' and 1 to 128 characters of A-Z a-z 0-9 . _ / -");
  }
  return name;
}

export function parseGroups(groups: readonly string[]): readonly string[] {
  if (groups.length > 32) throw invalidField("groups", "must be at most 32");
  groups.forEach((group, index) => {
    if (!GROUP.test(group)) throw invalidField(`groups[${index}]`, "must be 1 to 128 printable characters");
  });
  return groups;
}
