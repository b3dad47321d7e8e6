/** Printable ASCII without a space and `*`, which would read as a pattern in a policy. */
const SUBJECT = /^[!-)+-~]+$/;
const MAX_PRINCIPAL = 512;
const GROUP = /^[!-~]{1,128}$/;
const MAX_GROUPS = 256;

/** Undefined when the subject can't be part of a principal's name: it is refused, never rewritten. */
export function principalName(prefix: string, subject: unknown): string | undefined {
  if (typeof subject !== "string" || !SUBJECT.test(subject)) return undefined;
  const name = prefix + subject;
  return name.length <= MAX_PRINCIPAL ? name : undefined;
}

/**
 * The claim at a path of names with `/` in between. Names may hold slashes themselves: in
 * `https://example.com/groups` the whole is one name, in `kubernetes.io/serviceaccount/name` each part is.
 */
export function claimAt(claims: object, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path as keyof typeof claims];
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    const name = path.slice(0, slash);
    if (!Object.hasOwn(claims, name)) continue;
    const inner: unknown = claims[name as keyof typeof claims];
    if (typeof inner !== "object" || inner === null) continue;
    const found = claimAt(inner, path.slice(slash + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** One group or a list. Leaving out what no policy could name only ever takes rights away. */
export function groupsFrom(claim: unknown, prefix: string): readonly string[] {
  const values: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  const groups = values.flatMap((value) => {
    const group = typeof value === "string" && value !== "" ? prefix + value : "";
    return GROUP.test(group) ? [group] : [];
  });
  return [...new Set(groups)].slice(0, MAX_GROUPS);
}
