import { Command } from "commander";
import { addClientCommands } from "./cli/commands.ts";
import { addServeCommand } from "./cli/serve-command.ts";
import { VERSION } from "./version.ts";

const program = new Command("slots")
  .description("Secrets with numbered slots, which rotate under running programs.")
  .version(VERSION)
  .showHelpAfterError("(run with --help for what there is)")
  .enablePositionalOptions();

addServeCommand(program);
addClientCommands(program);
await program.parseAsync();
