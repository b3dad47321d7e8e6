import type { Command } from "commander";
import { EXIT } from "./exit-codes.ts";

/** What a wrong use of a command ends with, and what happens when nobody reads the output any more. */
export function endOnWrongUse(program: Command): void {
  for (const command of allCommands(program)) command.exitOverride(endAfterUsage);
  // Whoever reads the output may stop reading (`slots list | head`): then there is nobody to write for.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function endAfterUsage({ exitCode }: { readonly exitCode: number }): never {
  process.exit(exitCode === 0 ? EXIT.ok : EXIT.usage);
}
