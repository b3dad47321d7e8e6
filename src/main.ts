import { Command } from "commander";
import { addServeCommand } from "./cli/serve-command.ts";
import { endOnWrongUse } from "./cli/usage.ts";
import { VERSION } from "./version.ts";

const program = new Command("slots")
  .description("Secrets with numbered slots, which rotate under running programs.")
  .version(VERSION)
  .showHelpAfterError("(run with --help for what there is)")
  .enablePositionalOptions();

addServeCommand(program);
// A server needs nothing of what the other commands bring along, and starts sooner without.
if (process.argv[2] !== "serve") (await import("./cli/commands.ts")).addClientCommands(program);
endOnWrongUse(program);
await program.parseAsync();
