import type { Command } from "commander";
import { addDescribe } from "./describe.ts";
import { EXIT } from "./exit-codes.ts";
import { addGet } from "./get.ts";
import { addList } from "./list.ts";
import { addPut } from "./put.ts";
import { addConnectFlags, addOutputFlag } from "./session.ts";
import { addWatch } from "./watch.ts";

/** Adds every command but `serve`. */
export function addClientCommands(program: Command): void {
  addConnectFlags(addOutputFlag(program));
  addPut(program);
  addGet(program);
  addWatch(program);
  addList(program);
  addDescribe(program);
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
