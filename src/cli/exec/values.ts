import type { Secrets, SecretValue } from "../../../clients/typescript/src/index.ts";
import { CliError, EXIT } from "../exit-codes.ts";
import type { Plan } from "./plan.ts";

/** The value of each name at one moment. */
export type Values = ReadonlyMap<string, SecretValue>;

/** The newest values; a name that has none at the moment keeps the one it had. */
export function newestValues(secrets: Secrets, names: readonly string[], before?: Values): Values {
  const values = new Map<string, SecretValue>();
  for (const name of names) {
    try {
      values.set(name, secrets.handle(name).current().value);
    } catch (error) {
      const kept = before?.get(name);
      if (kept === undefined) throw error;
      values.set(name, kept);
    }
  }
  return values;
}

export function changedNames(before: Values, after: Values): readonly string[] {
  return [...after].filter(([name, value]) => before.get(name)?.equals(value) !== true).map(([name]) => name);
}

/** The environment of the command. Fails for a value that no variable can hold. */
export function environmentOf({ variables }: Plan, values: Values): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  for (const { variable, name } of variables) {
    environment[variable] = textOf(name, variable, values.get(name));
  }
  return environment;
}

function textOf(name: string, variable: string, value: SecretValue | undefined): string {
  let text: string | undefined;
  try {
    text = value?.text();
  } catch {
    // Reported below, without a byte of it.
  }
  if (text === undefined || text.includes("\0")) {
    const why = text === undefined ? "is no UTF-8 text" : "has a NUL in it";
    throw new CliError(
      EXIT.invalid,
      `the value of '${name}' ${why}: ${variable} can't hold it; hand it over with --file PATH=${name}`,
    );
  }
  return text;
}
