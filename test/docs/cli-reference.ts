import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command, Option } from "commander";
import { namedCommands, slotsProgram } from "./program.ts";

export const CLI_PAGE = join(import.meta.dirname, "../../docs/cli.md");
const START = "<!-- made from the program: node test/docs/cli-reference.ts -->\n";

/** Every command with its arguments and flags, as the program itself has them. */
export function cliReference(): string {
  const shared = new Set(slotsProgram().options.map(({ long }) => long));
  const sections = namedCommands()
    .filter(({ command }) => command.commands.length === 0)
    .map(({ path, command }) => {
      const parts = [path, ...command.registeredArguments.map((argument) => argumentText(argument))];
      const own = command.options.filter(({ long }) => !shared.has(long));
      const talks = command.options.some(({ long }) => long === "--address");
      const note = path === "serve" ? "" : talks ? "" : "\nNeeds no server.\n";
      const flags =
        path === "serve" ? "\nIts flags are the settings of [operating.md](operating.md).\n" : table(own);
      return `### \`slots ${parts.join(" ")}\`\n\n${command.description()}\n${note}${flags}`;
    });
  const common = `### Flags of every command\n\nBefore the verb or after it; the one nearest to the verb wins.\n${table(slotsProgram().options)}`;
  return [common, ...sections].join("\n");
}

function table(options: readonly Option[]): string {
  if (options.length === 0) return "";
  const rows = options.map(({ flags, description, defaultValue }) => {
    const standard = defaultValue === undefined ? "" : ` (default ${defaultValue})`;
    return `| \`${flags}\` | ${description}${standard} |`;
  });
  return ["", "| flag | what it does |", "| --- | --- |", ...rows, ""].join("\n");
}

function argumentText(argument: Command["registeredArguments"][number]): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? `<${name}>` : `[${name}]`;
}

/** The page with its reference as it should be. */
export function cliPage(): string {
  const text = readFileSync(CLI_PAGE, "utf8");
  const at = text.indexOf(START);
  if (at < 0) throw new Error(`${CLI_PAGE} has no place for the reference`);
  return `${text.slice(0, at)}${START}\n${cliReference()}`;
}

if (import.meta.main) writeFileSync(CLI_PAGE, cliPage());
