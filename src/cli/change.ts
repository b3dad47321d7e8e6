import type { Command } from "commander";
import type { ChangeOptions, SlotChangeResult } from "../../clients/typescript/src/index.ts";
import { collect, parseNumber, parsePair } from "./arguments.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import type { Output } from "./output.ts";
import { online } from "./session.ts";

interface ConditionFlags {
  readonly etag?: string;
  readonly requestId?: string;
}

function addConditions(command: Command): Command {
  return command
    .option("--etag <ETAG>", "only if the secret's etag is this (see 'describe --output json')")
    .option("--request-id <ID>", "makes running the very same command again safe, for 24 hours");
}

function conditions({ etag, requestId }: ConditionFlags): ChangeOptions {
  return { etag, requestId };
}

const SLOT_VERBS = {
  disable: {
    call: "disableSlot",
    description: "Take a slot out of use until it is enabled again: the fast way back from a bad rotation.",
  },
  enable: { call: "enableSlot", description: "Put a disabled or staged slot into use." },
} as const;

export function addSlotChanges(program: Command): void {
  for (const [verb, { call, description }] of Object.entries(SLOT_VERBS)) {
    const command = program.command(`${verb} <NAME> <SLOT>`).description(description);
    addConditions(command).addHelpText("after", `\nExample:\n  slots ${verb} app/db 5`);
    online<[string, string], ConditionFlags>(command, async ({ client, out }, [name, number], flags) => {
      showSlot(out, name, await client[call](name, parseNumber(number, "SLOT"), conditions(flags)));
    });
  }
  const destroy = program
    .command("destroy <NAME> <SLOT>")
    .description("Remove a slot's value for good; its number stays known. Backups may still hold the value.");
  addConditions(addYes(destroy)).addHelpText("after", "\nExample:\n  slots destroy app/db 5");
  online<[string, string], ConditionFlags & YesFlag>(
    destroy,
    async ({ client, out }, [name, number], flags) => {
      const slot = parseNumber(number, "SLOT");
      if (!flags.yes) await confirm(`Destroy the value in slot ${slot} of '${name}'`, name);
      showSlot(out, name, await client.destroySlot(name, slot, conditions(flags)));
    },
  );
}

function showSlot(out: Output, name: string, result: SlotChangeResult): void {
  const { slot, revision } = result;
  out.result({ name, ...result }, () => {
    out.line(`${name}: slot ${slot.slot} is ${slot.state.toLowerCase()}, revision ${revision}`);
  });
}

export function addDelete(program: Command): void {
  const command = program
    .command("delete <NAME>")
    .description("Remove a secret and all its slots for good. Backups may still hold its values.");
  addConditions(addYes(command)).addHelpText("after", "\nExample:\n  slots delete app/old");
  online<[string], ConditionFlags & YesFlag>(command, async ({ client, out }, [name], flags) => {
    if (!flags.yes) await confirm(`Delete '${name}' and all its slots`, name);
    const result = await client.deleteSecret(name, conditions(flags));
    out.result({ name, ...result }, () => out.line(`${name}: deleted, revision ${result.revision}`));
  });
}

interface YesFlag {
  readonly yes?: boolean;
}

function addYes(command: Command): Command {
  return command.option("--yes", "do not ask; without a terminal nobody is asked");
}

/** What can't be undone is asked for once more, where there is a person to ask. */
async function confirm(what: string, name: string): Promise<void> {
  if (!process.stdin.isTTY) return;
  const { createInterface } = await import("node:readline/promises");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${what}? It can't be undone. Type the name to go on: `);
  terminal.close();
  if (answer !== name) throw new CliError(EXIT.general, "cancelled; nothing was changed");
}

interface UpdateFlags extends ConditionFlags {
  readonly comment?: string;
  readonly label?: readonly string[];
  readonly removeLabel?: readonly string[];
}

export function addUpdate(program: Command): void {
  const command = program
    .command("update <NAME>")
    .description("Change a secret's comment and labels.")
    .option("--comment <TEXT>", "the new comment; empty removes it")
    .option("--label <KEY=VALUE>", "add or change a label; may be repeated", collect)
    .option("--remove-label <KEY>", "remove a label; may be repeated", collect);
  addConditions(command).addHelpText(
    "after",
    "\nExample:\n  slots update app/db --comment 'the payment database' --label team=pay",
  );
  online<[string], UpdateFlags>(command, async ({ client, out }, [name], flags) => {
    const { comment, label = [], removeLabel = [] } = flags;
    const relabels = label.length + removeLabel.length > 0;
    if (comment === undefined && !relabels) {
      throw usageError("say what to change: --comment, --label or --remove-label");
    }
    let { etag } = flags;
    let labels: Record<string, string> | undefined;
    if (relabels) {
      // The server replaces labels as a whole: what others changed in between must not be lost.
      const today = await client.describeSecret(name);
      etag ??= today.etag;
      labels = {
        ...today.labels,
        ...Object.fromEntries(label.map((pair) => parsePair(pair, "--label", "KEY=VALUE"))),
      };
      for (const key of removeLabel) delete labels[key];
    }
    const result = await client.updateSecret(name, { comment, labels }, { ...conditions(flags), etag });
    out.result(result, () => out.line(`${name}: updated, revision ${result.revision}`));
  });
}
