import type { Command } from "commander";
import { parseNumber } from "./arguments.ts";
import { usageError } from "./exit-codes.ts";
import { online } from "./session.ts";
import { readValue } from "./value-input.ts";

interface PutFlags {
  readonly slot?: string;
  readonly next?: boolean;
  readonly now?: boolean;
  readonly overwrite?: boolean;
  readonly expectedRevision?: string;
  readonly disabled?: boolean;
  readonly valueFile?: string;
  readonly requestId?: string;
}

export function addPut(program: Command): void {
  const command = program
    .command("put <NAME>")
    .description("Write a value into a slot; a number above all others rotates the secret.")
    .option("--slot <N>", "the slot's number: an index, or a Unix time in seconds")
    .option("--next", "one past the largest number ever used; 0 for the first")
    .option("--now", "the server's clock, in Unix seconds")
    .option("--overwrite", "replace another value in this slot, or fill a destroyed number")
    .option("--expected-revision <R>", "only if the secret's revision is this; 0: it must not exist yet")
    .option("--disabled", "stage it: the slot counts once it is enabled")
    .option("--value-file <FILE>", "take the value from a file; by default it is read from standard input")
    .option("--request-id <ID>", "makes running the very same command again safe, for 24 hours")
    .addHelpText(
      "after",
      `
Examples:
  printf %s "$PASSWORD" | slots put app/db --slot 0
  slots put app/db --next --value-file ./new-password
  openssl rand 32 | slots put jwt/signing --now
The value is taken byte for byte; at a terminal it is typed unseen and its last newline dropped.`,
    );
  online<[string], PutFlags>(command, async ({ client, out }, [name], flags) => {
    const where = [flags.slot !== undefined, flags.next, flags.now].filter(Boolean);
    if (where.length !== 1) throw usageError("say where to put it: one of --slot N, --next and --now");
    const put = {
      name,
      ...(flags.slot === undefined ? {} : { slot: parseNumber(flags.slot, "--slot") }),
      ...(flags.next ? { autoSlot: "NEXT_INDEX" as const } : {}),
      ...(flags.now ? { autoSlot: "NOW" as const } : {}),
      ...(flags.expectedRevision === undefined
        ? {}
        : { expectedRevision: parseNumber(flags.expectedRevision, "--expected-revision") }),
      ...(flags.disabled ? { initialState: "DISABLED" as const } : {}),
      overwrite: flags.overwrite,
      requestId: flags.requestId,
    };
    const result = await client.putSlot({ ...put, value: await readValue(name, flags.valueFile) });
    out.result(result, () => {
      const { slot, revision, state, currentSlot } = result;
      const staged = state === "ENABLED" ? "" : ` (${state.toLowerCase()})`;
      const current = currentSlot === undefined ? "no slot is enabled" : `current is slot ${currentSlot}`;
      out.line(`${name}: slot ${slot}${staged}, revision ${revision}; ${current}`);
    });
  });
}
