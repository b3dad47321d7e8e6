import { randomBytes } from "node:crypto";
import { link, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import type { CreateBackupResponse } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { flushNameOf } from "../disk/durable.ts";
import { VERSION } from "../version.ts";
import { collect } from "./arguments.ts";
import { CliError, EXIT } from "./exit-codes.ts";
import { count } from "./output.ts";
import { Progress } from "./progress.ts";
import { offline, online } from "./session.ts";
import { addStoreFlags, keySource, type StoreFlags } from "./store-flags.ts";

interface CreateFlags {
  readonly outFile: string;
  readonly ageRecipient?: readonly string[];
  readonly force?: boolean;
}

interface ReadFlags extends StoreFlags {
  readonly ageIdentity?: string;
}

export function addBackups(program: Command): void {
  const group = program.command("backup").description("Take, check and restore backups.");
  addCreate(group);

  const verify = group
    .command("verify <FILE>")
    .description("Check a backup and open every record in it with the master key (offline).")
    .option("--age-identity <FILE>", "identities for a backup that is encrypted, as age-keygen writes them");
  addStoreFlags(verify, "./data/master.key").addHelpText(
    "after",
    "\nExample:\n  slots backup verify store.backup --master-key-file /etc/slots/master.key",
  );
  offline<[string], ReadFlags>(verify, async (out, [file], flags) => {
    const { verifyBackup } = await import("../offline/backup-check.ts");
    const shown = shownProgress();
    const keys = keySource(flags);
    const report = await verifyBackup({
      ...(Object.keys(keys).length > 0 ? keys : { masterKeyFile: "./data/master.key" }),
      ...{ file, identityFile: flags.ageIdentity, onProgress: shown.start },
    }).finally(shown.end);
    const { failures, records, secrets, revision, createTime } = report;
    out.result({ ok: failures.length === 0, ...report }, () => {
      for (const { name, slot, message } of failures) out.line(`${name} slot ${slot}: ${message}`);
      if (failures.length > 0) return;
      out.line(
        `ok: ${count(records, "record")} of ${count(secrets, "secret")} open; revision ${revision}, ${createTime}`,
      );
    });
    if (failures.length > 0)
      throw new CliError(EXIT.dataLoss, `${count(failures.length, "record")} did not open`);
  });

  addRestore(group);
}

function addCreate(group: Command): void {
  const create = group
    .command("create")
    .description(
      "Write a consistent copy of the store into a file, sealed as it is, while reads and writes go on.",
    )
    .requiredOption("-o, --out-file <FILE>", "where to; mode 0600, never half written")
    .option("--age-recipient <R>", "encrypt for an age recipient (age1…); may be repeated", collect)
    .option("--force", "replace a file that is there")
    .addHelpText(
      "after",
      `
Values in a backup are sealed: it is of no use without the master key, which is not in it. Names, labels and times are
readable unless it is encrypted. Keep the audit log's folder along with backups.
Examples:
  slots backup create -o store.backup
  slots backup create -o store.backup.age --age-recipient age1…    # age -d -i key.txt opens it`,
    );
  online<[], CreateFlags>(
    create,
    async ({ client, out }, _, { outFile, ageRecipient = [], force = false }) => {
      const { encodeBackup } = await import("../offline/backup-format.ts");
      const { encryptFor } = await import("../offline/backup-file.ts");
      const pieces = client.admin.createBackup({})[Symbol.asyncIterator]();
      const first = await pieces.next();
      if (first.done) throw new CliError(EXIT.general, "the server sent no backup");
      const { revision, epoch, totalBytes } = first.value;
      const header = {
        revision,
        epoch,
        databaseBytes: totalBytes,
        createTime: new Date().toISOString(),
        version: VERSION,
      };
      const progress = new Progress("backup");
      const plain = encodeBackup(header, databaseOf(first.value, pieces, progress));
      const bytes = ageRecipient.length > 0 ? await encryptFor(ageRecipient, plain) : plain;
      const size = await writeNewFile(outFile, bytes, force).finally(() => progress.end());
      out.result({ file: outFile, size, revision, epoch, encrypted: ageRecipient.length > 0 }, () => {
        out.line(
          `${outFile}: ${count(size, "byte")}, revision ${revision}; check it with 'slots backup verify'`,
        );
      });
    },
  );
}

async function* databaseOf(
  first: CreateBackupResponse,
  rest: AsyncIterator<CreateBackupResponse>,
  progress: Progress,
): AsyncGenerator<Uint8Array, void, void> {
  let done = 0n;
  for (let message: CreateBackupResponse | undefined = first; message !== undefined; ) {
    yield message.chunk;
    done += BigInt(message.chunk.length);
    progress.at(done, first.totalBytes);
    const next: IteratorResult<CreateBackupResponse> = await rest.next();
    message = next.done ? undefined : next.value;
  }
}

/** The whole file under its name, on disk, or nothing. */
async function writeNewFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  replace: boolean,
): Promise<number> {
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  const file = await open(draft, "wx", 0o600);
  try {
    let size = 0;
    try {
      for await (const chunk of chunks) {
        await file.writeFile(chunk);
        size += chunk.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (replace) await rename(draft, path);
    else await link(draft, path).catch((error) => Promise.reject(alreadyThere(path, error)));
    // A power cut must not take a backup that was said to be there.
    flushNameOf(path);
    return size;
  } finally {
    await rm(draft, { force: true });
  }
}

function alreadyThere(path: string, error: NodeJS.ErrnoException): unknown {
  if (error.code !== "EEXIST") return error;
  return new CliError(EXIT.conflict, `${path} is there already; say --force to replace it`);
}

interface RestoreFlags extends ReadFlags {
  readonly dataDir: string;
  readonly allowDamaged?: boolean;
}

function addRestore(group: Command): void {
  const restore = group
    .command("restore <FILE>")
    .description(
      "Put a backup into an empty directory as a new epoch, after opening every record in it (offline).",
    )
    .requiredOption("--data-dir <DIR>", "where to; must have no store yet, may hold master.key")
    .option("--age-identity <FILE>", "identities for a backup that is encrypted, as age-keygen writes them")
    .option("--allow-damaged", "restore even if some records do not open; they stay lost");
  addStoreFlags(restore, "DATA-DIR/master.key").addHelpText(
    "after",
    `
Tokens, policies and secrets are as they were when the backup was taken. Watchers are told that the history was cut.
Example:
  slots backup restore store.backup --data-dir ./restored --master-key-file /etc/slots/master.key
  slots serve --data-dir ./restored --master-key-file /etc/slots/master.key`,
  );
  offline<[string], RestoreFlags>(restore, async (out, [file], flags) => {
    const { restoreBackup } = await import("../offline/backup-restore.ts");
    const { dataDir, ageIdentity: identityFile, allowDamaged } = flags;
    const shown = shownProgress();
    const wanted = {
      ...keySource(flags),
      file,
      dataDir,
      identityFile,
      allowDamaged,
      onProgress: shown.start,
    };
    const report = await restoreBackup(wanted).finally(shown.end);
    const { records, secrets, revision, newEpoch } = report;
    out.result({ dataDir, ...report }, () => {
      out.line(
        `${dataDir}: ${count(records, "record")} of ${count(secrets, "secret")}, revision ${revision}, new epoch ${newEpoch}`,
      );
      out.note(
        `Start it with 'slots serve --data-dir ${dataDir}' and the same master key. Tokens of then still work; ` +
          `'slots token create --data-dir ${dataDir}' makes another.`,
      );
    });
  });
}

/** One line of progress after the other. */
function shownProgress() {
  let progress: Progress | undefined;
  return {
    start: (what: string) => {
      progress?.end();
      const next = new Progress(what);
      progress = next;
      return (done: bigint, total: bigint) => next.at(done, total);
    },
    end: () => progress?.end(),
  };
}
