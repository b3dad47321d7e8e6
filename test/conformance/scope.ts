/** What one driver's run of one case knows: names of its own, and variables that steps saved. */
export class Scope {
  /** Stands before every name of a step, so that drivers and cases do not meet on the shared server. */
  readonly prefix: string;
  readonly variables: Map<string, string>;

  constructor(prefix: string, variables: Readonly<Record<string, string>>) {
    this.prefix = prefix;
    this.variables = new Map(Object.entries(variables));
  }

  /** The secret's name on the server; `!x` is x as it stands. */
  name(name: string): string {
    return name.startsWith("!") ? name.slice(1) : `${this.prefix}/${name}`;
  }

  variable(name: string): string {
    const value = this.variables.get(name);
    if (value === undefined) throw new Error(`no step saved $${name}`);
    return value;
  }

  /**
   * A step's member as it goes over the wire: names get their prefix, values become base64, `$x` what was saved.
   */
  encode(member: string, value: unknown): unknown {
    if (typeof value === "string") {
      if (member === "name" || member === "names" || member === "prefix") return this.name(value);
      if (VALUES.has(member)) return Buffer.from(value).toString("base64");
      return value.startsWith("$") ? this.variable(value.slice(1)) : value;
    }
    if (Array.isArray(value)) return value.map((item) => this.encode(member, item));
    if (typeof value !== "object" || value === null) return value;
    if (VALUES.has(member) && "base64" in value) return value.base64;
    return this.encodeAll(value as Record<string, unknown>, member === "secrets");
  }

  encodeAll(members: Readonly<Record<string, unknown>>, secrets = false): Record<string, unknown> {
    const entries = Object.entries(members).map(([member, value]) => {
      if (!secrets) return [member, this.encode(member, value)];
      const slots = Object.entries(value as Record<string, string>);
      return [
        this.name(member),
        Object.fromEntries(slots.map(([slot, text]) => [slot, this.encode("value", text)])),
      ];
    });
    return Object.fromEntries(entries);
  }
}

const VALUES = new Set(["value", "values", "failOn", "closed"]);

/** How an answer differs from what is expected: the path and both; "" when it matches. */
export function difference(actual: unknown, expected: unknown, path = "answer"): string {
  if (typeof expected === "object" && expected !== null) {
    if (Array.isArray(expected)) {
      if (!Array.isArray(actual) || actual.length !== expected.length) {
        return `${path} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`;
      }
      return expected.map((item, i) => difference(actual[i], item, `${path}[${i}]`)).find(Boolean) ?? "";
    }
    if ("atLeast" in expected) {
      const enough = typeof actual === "string" && BigInt(actual) >= BigInt(String(expected.atLeast));
      return enough ? "" : `${path} is ${JSON.stringify(actual)}, below ${expected.atLeast}`;
    }
    const record = (actual ?? {}) as Record<string, unknown>;
    return (
      Object.entries(expected)
        .map(([member, value]) => difference(record[member], value, `${path}.${member}`))
        .find(Boolean) ?? ""
    );
  }
  return actual === expected ? "" : `${path} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`;
}
