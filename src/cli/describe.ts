import type { Command } from "commander";
import type { SlotInfo } from "../../clients/typescript/src/index.ts";
import { time } from "./output.ts";
import { online } from "./session.ts";
import { drawTimeline } from "./timeline.ts";

/** How many slots are drawn without `--all`: the highest, which are in use. */
const DRAWN = 20;

export function addDescribe(program: Command): void {
  const command = program
    .command("describe <NAME>")
    .description("Show a secret's metadata and its slots as a timeline; never values.")
    .option("--all", `draw every slot, not only the ${DRAWN} highest`)
    .addHelpText("after", "\nExample:\n  slots describe app/db");
  online<[string], { readonly all?: boolean }>(command, async ({ client, out }, [name], { all }) => {
    const secret = await client.describeSecret(name);
    const slots: SlotInfo[] = [];
    for await (const slot of client.listSlots(name, { pageSize: 1000 })) slots.push(slot);
    if (out.json) return out.document({ ...secret, slots });

    const { comment, labels, revision, createTime, updateTime } = secret;
    out.line(out.paint("bold", name));
    if (comment !== "") out.line(`  ${comment}`);
    for (const [key, value] of Object.entries(labels).sort()) out.line(`  ${key}=${value}`);
    out.line(`  revision ${revision}, created ${time(createTime)}, changed ${time(updateTime)}`);
    const counts = (["enabled", "disabled", "destroyed"] as const).map((state) => [
      secret[`${state}Count`],
      state,
    ]);
    out.line(
      `  slots: ${counts
        .filter(([n]) => n !== 0)
        .map((pair) => pair.join(" "))
        .join(", ")}`,
    );
    out.line("");
    const drawn = all ? slots : slots.slice(-DRAWN);
    if (drawn.length > 0) drawTimeline(out, drawn, secret.currentSlot, slots.length - drawn.length);
    if (secret.currentSlot === undefined) out.line("\n  No slot is enabled: nothing is current.");
  });
}
