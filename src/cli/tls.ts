import type { Command } from "commander";
import { collect } from "./arguments.ts";
import { usageError } from "./exit-codes.ts";
import { offline } from "./session.ts";

interface InitFlags {
  readonly dir: string;
  readonly name?: readonly string[];
  readonly client?: string;
  readonly days?: string;
}

export function addTls(program: Command): void {
  const group = program.command("tls").description("Certificates for development.");
  const init = group
    .command("init")
    .description("Make an authority, a server and a client certificate; replaces nothing.")
    .option("--dir <DIR>", "where to put them", "./tls")
    .option(
      "--name <NAME>",
      "a host name or address that clients use; may be repeated (default localhost 127.0.0.1 ::1)",
      collect,
    )
    .option("--client <SAN>", "whom the client certificate stands for (default spiffe://dev/me)")
    .option("--days <N>", "how long they are good (default 365)")
    .addHelpText("after", "\nExample:\n  slots tls init --name localhost --name slots.example");
  offline<[], InitFlags>(init, async (out, _, { dir, name, client, days }) => {
    const valid = days === undefined ? undefined : Number(days);
    if (valid !== undefined && !(Number.isInteger(valid) && valid > 0 && valid <= 36_500)) {
      throw usageError(`--days must be a whole number from 1 to 36500, not '${days}'`);
    }
    const { tlsInit } = await import("./tls-init.ts");
    const files = await tlsInit({
      dir,
      ...(name === undefined ? {} : { names: name }),
      ...(client === undefined ? {} : { client }),
      ...(valid === undefined ? {} : { days: valid }),
    });
    out.result(files, () => {
      for (const file of Object.values(files)) out.line(file);
      out.note(`
slots serve --tls-cert ${files.serverCert} --tls-key ${files.serverKey} --tls-client-ca ${files.caCert}
slots --ca ${files.caCert} info                      # with a token
slots --ca ${files.caCert} --cert ${files.clientCert} --key ${files.clientKey} whoami
Keep ${files.caKey} to yourself: who has it can make more of them.`);
    });
  });
}
