import type { Command } from "commander";
import type { SecretVersion } from "../../clients/typescript/src/index.ts";
import { parsePoint } from "./arguments.ts";
import { type Output, valueFields } from "./output.ts";
import { online } from "./session.ts";

export function addGet(program: Command): void {
  const get = program
    .command("get <NAME>")
    .description("Print the current value: the enabled slot with the largest number.")
    .addHelpText(
      "after",
      `
The value's bytes are printed as they are; only at a terminal a newline follows.
Examples:
  slots get app/db
  slots get app/db --output json | jq -r .slot`,
    );
  online<[string], object>(get, async ({ client, out }, [name]) => print(out, await client.getSecret(name)));

  const at = program
    .command("at <NAME> [AT]")
    .description(
      "Print the value effective at a point: the enabled slot with the largest number at or below it.",
    )
    .addHelpText(
      "after",
      `
AT is a number, or a date that stands for its Unix seconds; without it, the server's clock counts.
Examples:
  slots at app/db 3
  slots at jwt/signing 1741790697
  slots at jwt/signing 2025-03-12T14:44:57Z`,
    );
  online<[string, string | undefined], object>(at, async ({ client, out }, [name, point]) => {
    print(
      out,
      await client.getSecretEffectiveAt(name, point === undefined ? undefined : parsePoint(point, "AT")),
    );
  });
}

function print(out: Output, { value, ...version }: SecretVersion): void {
  if (out.json) out.document({ ...version, ...valueFields(value) });
  else out.value(value);
}
