import { constants } from "node:os";
import { parsePair } from "../arguments.ts";
import { usageError } from "../exit-codes.ts";

/** What happens to the command when a value changed. */
export type OnChange =
  | { readonly kind: "restart" }
  | { readonly kind: "signal"; readonly signal: NodeJS.Signals }
  | { readonly kind: "none" };

/** Which secrets go where. */
export interface Plan {
  readonly variables: readonly { readonly variable: string; readonly name: string }[];
  readonly files: readonly { readonly path: string; readonly name: string }[];
  /** All names, each once. */
  readonly names: readonly string[];
  readonly onChange: OnChange;
}

export interface PlanFlags {
  readonly secret?: readonly string[];
  readonly file?: readonly string[];
  readonly onChange?: string;
}

export function parsePlan({ secret = [], file = [], onChange = "restart" }: PlanFlags): Plan {
  const variables = secret.map((text) => {
    const [variable, name] = parsePair(text, "--secret", "ENV=name");
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
      throw usageError(`--secret: '${variable}' is no name of an environment variable`);
    }
    return { variable, name };
  });
  const files = file.map((text) => {
    const [path, name] = parsePair(text, "--file", "PATH=name");
    return { path, name };
  });
  once(
    variables.map(({ variable }) => variable),
    "--secret",
  );
  once(
    files.map(({ path }) => path),
    "--file",
  );
  const names = [...new Set([...variables, ...files].map(({ name }) => name))];
  if (names.length === 0)
    throw usageError("say which secrets to hand over: --secret ENV=name or --file PATH=name");
  return { variables, files, names, onChange: parseOnChange(onChange) };
}

function parseOnChange(text: string): OnChange {
  if (text === "restart" || text === "none") return { kind: text };
  const [, word] = /^signal:(?:SIG)?([A-Z0-9]+)$/.exec(text) ?? [];
  const signal = `SIG${word}`;
  if (word === undefined || !Object.hasOwn(constants.signals, signal)) {
    throw usageError(`--on-change: '${text}' must be restart, none, or signal:NAME such as signal:HUP`);
  }
  return { kind: "signal", signal: signal as NodeJS.Signals };
}

function once(all: readonly string[], option: string): void {
  const twice = all.find((each, at) => all.indexOf(each) !== at);
  if (twice !== undefined) throw usageError(`${option}: '${twice}' is there twice`);
}
