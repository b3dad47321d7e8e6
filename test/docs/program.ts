import { Command } from "commander";
import { addClientCommands } from "../../src/cli/commands.ts";
import { addServeCommand } from "../../src/cli/serve-command.ts";

/** The command line as `src/main.ts` puts it together, to be looked at and not run. */
export function slotsProgram(): Command {
  const program = new Command("slots").enablePositionalOptions();
  addServeCommand(program);
  addClientCommands(program);
  return program;
}

/** A command with its words after `slots`. */
export interface NamedCommand {
  readonly path: string;
  readonly command: Command;
}

/** Every command below `slots`, groups included, in the order of `--help`. */
export function namedCommands(
  parent: Command = slotsProgram(),
  path: readonly string[] = [],
): NamedCommand[] {
  return parent.commands.flatMap((command) => {
    const words = [...path, command.name()];
    return [{ path: words.join(" "), command }, ...namedCommands(command, words)];
  });
}
