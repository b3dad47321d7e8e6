import type { Command } from "commander";
import { count, time } from "./output.ts";
import { online } from "./session.ts";

export function addList(program: Command): void {
  const command = program
    .command("list [PREFIX]")
    .description("List the secrets that you may list, in byte order of their names; never values.")
    .addHelpText("after", "\nExample:\n  slots list app/");
  online<[string | undefined], object>(command, async ({ client, out }, [prefix]) => {
    const rows: string[][] = [];
    for await (const secret of client.listSecrets(prefix ?? "")) {
      if (out.json) out.document(secret);
      else {
        const current = secret.currentSlot === undefined ? "none" : String(secret.currentSlot);
        rows.push([
          secret.name,
          current,
          String(secret.slotCount),
          String(secret.revision),
          time(secret.updateTime),
        ]);
      }
    }
    if (out.json) return;
    if (rows.length > 0) out.table([["NAME", "CURRENT", "SLOTS", "REVISION", "CHANGED"], ...rows]);
    else out.note(prefix === undefined ? "no secrets yet" : `no secret begins with '${prefix}'`);
    if (rows.length > 20) out.note(count(rows.length, "secret"));
  });
}
