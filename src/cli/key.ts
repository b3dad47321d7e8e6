import type { Command } from "commander";
import { dateOf } from "./message-time.ts";
import { count, time } from "./output.ts";
import { Progress } from "./progress.ts";
import { offline, online } from "./session.ts";

export function addKeys(program: Command): void {
  const group = program
    .command("key")
    .description("List, change and retire the master keys that wrap everything.");

  const list = group
    .command("list")
    .description("List the master keys the store knows and how much each one wraps.");
  online<[], object>(list, async ({ client, out }) => {
    const { keys } = await client.admin.listMasterKeys({});
    const documents = keys.map(({ keyId, primary, loaded, wrappedCount, createTime }) => ({
      ...{ keyId, primary, loaded, wrappedCount, createTime: dateOf(createTime) },
    }));
    if (out.json) {
      for (const key of documents) out.document(key);
      return;
    }
    const rows = documents.map((key) => [
      key.keyId,
      key.primary ? "primary" : "-",
      key.loaded ? "loaded" : "not loaded",
      String(key.wrappedCount),
      time(key.createTime),
    ]);
    out.table([["ID", "USE", "STATE", "WRAPS", "SINCE"], ...rows]);
  });

  const rotate = group
    .command("rotate [ID]")
    .description(
      "Make another loaded key the primary and rewrap everything with it, while reads and writes go on.",
    )
    .addHelpText(
      "after",
      `
A rotation that was cut goes on when it is run again. In all:
  slots key generate --file data/master.key    # adds a key; restart the server to load it
  slots key rotate                             # ID is needed only with more than one other key
  slots key retire OLD-ID                      # then take its line out of the file`,
    );
  online<[string | undefined], object>(rotate, async ({ client, out }, [keyId]) => {
    const progress = new Progress("rewrapping");
    let done = 0n;
    let primary = "";
    let complete = false;
    try {
      for await (const step of client.admin.rotateMasterKey({ keyId: keyId ?? "" })) {
        ({ doneCount: done, keyId: primary, complete } = step);
        progress.at(done, step.totalCount);
        if (out.json) {
          const { totalCount } = step;
          out.document({ keyId: primary, doneCount: done, totalCount, complete });
        }
      }
    } finally {
      progress.end();
    }
    if (!complete)
      throw new Error("the rotation did not come to its end: run it again, it goes on where it was");
    if (!out.json)
      out.line(`${primary} is the primary key; ${count(done, "record was", "records were")} rewrapped`);
  });

  const retire = group.command("retire <ID>").description("Forget a master key that wraps nothing any more.");
  online<[string], object>(retire, async ({ client, out }, [keyId]) => {
    const { revision } = await client.admin.retireMasterKey({ keyId });
    out.result({ keyId, revision }, () =>
      out.line(`${keyId}: retired, revision ${revision}; its bytes can go now`),
    );
  });

  const generate = group
    .command("generate")
    .description("Make a new master key and add it to a key file (offline); the key itself is never printed.")
    .requiredOption("--file <FILE>", "the key file; made with mode 0600 when it isn't there");
  offline<[], { readonly file: string }>(generate, async (out, _, { file }) => {
    const { generateMasterKey } = await import("../offline/generate-master-key.ts");
    const keyId = await generateMasterKey(file);
    out.result({ keyId, file }, () => out.line(`${keyId}: added to ${file}`));
  });
}
