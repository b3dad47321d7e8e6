import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeFolder } from "../disk/durable.ts";
import { SlotsError } from "../domain/errors.ts";
import { restoreRemains } from "../storage/sqlite/remains.ts";
import { restoreStoreFile } from "../storage/sqlite/restore.ts";
import { type BackupReport, checkStore, type VerifyBackup } from "./backup-check.ts";
import { extractDatabase } from "./backup-file.ts";

export interface RestoreBackup extends VerifyBackup {
  /** Must have no store yet; made when it isn't there. */
  readonly dataDir: string;
  /** Go on although some records do not open; the others are good. */
  readonly allowDamaged?: boolean | undefined;
}

export interface RestoreReport extends BackupReport {
  readonly storeId: string;
  /** The new one (D6): resume tokens and etags of the store that was backed up stop to count. */
  readonly newEpoch: string;
}

/**
 * Puts a backup into a directory after every record of it opened; the directory has the whole store or nothing. No
 * server starts in it while this goes on, nor after it was cut, until it was run again.
 */
export async function restoreBackup(options: RestoreBackup): Promise<RestoreReport> {
  const { file, identityFile, allowDamaged = false, onProgress = () => () => {} } = options;
  const dataDir = resolve(options.dataDir);
  makeFolder(dataDir);
  if (!existsSync(join(dataDir, "store.db"))) {
    for (const path of restoreRemains(dataDir)) await rm(path, { recursive: true, force: true });
  }
  const scratch = await mkdtemp(join(dataDir, ".restore-"));
  try {
    const database = join(scratch, "backup.db");
    const header = await extractDatabase(file, database, identityFile, onProgress("reading"));
    // Opening a store changes its file; what is restored is the file as it was backed up.
    const trial = join(scratch, "trial");
    await mkdir(trial, { mode: 0o700 });
    await copyFile(database, join(trial, "store.db"));
    const standard = join(dataDir, "master.key");
    const keys =
      (options.masterKeyFile ?? options.masterKeyEnv) === undefined
        ? { masterKeyFile: standard }
        : { masterKeyFile: options.masterKeyFile, masterKeyEnv: options.masterKeyEnv };
    const report = await checkStore(trial, { ...keys, onProgress }, header);
    await rm(trial, { recursive: true });
    if (report.failures.length > 0 && !allowDamaged) {
      throw new SlotsError(
        "RECORD_DAMAGED",
        `${report.failures.length} of its records do not open (see 'slots backup verify'); nothing was restored. ` +
          "Take an older backup, or --allow-damaged to restore the others",
      );
    }
    const { storeId, head } = restoreStoreFile(database, dataDir);
    return { ...report, storeId, newEpoch: head.epoch };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
