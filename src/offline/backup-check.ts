import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlotsError } from "../domain/errors.ts";
import type { SecretName } from "../domain/names.ts";
import type { SlotNumber } from "../domain/numbers.ts";
import { STORE_KEY_PURPOSES } from "../domain/sealed-record.ts";
import { extractDatabase, type OnProgress } from "./backup-file.ts";
import { type BackupHeader, damaged } from "./backup-format.ts";
import { type KeySource, type OpenedStore, openStore, storeKey } from "./open-store.ts";

export interface VerifyBackup extends KeySource {
  readonly file: string;
  /** A file of age identities, for a backup that is encrypted. */
  readonly identityFile?: string | undefined;
  readonly onProgress?: (what: string) => OnProgress;
}

export interface BackupReport extends BackupHeader {
  readonly secrets: number;
  /** Records that opened. */
  readonly records: number;
  /** Records that do not open: damaged when they were backed up already. */
  readonly failures: readonly { readonly name: string; readonly slot: bigint; readonly message: string }[];
}

const PAGE = 500;

/** Opens every record of a backup with the master key, in a scratch folder that is gone afterwards. */
export async function verifyBackup(options: VerifyBackup): Promise<BackupReport> {
  const scratch = await mkdtemp(join(tmpdir(), "slots-backup-"));
  try {
    const database = join(scratch, "store.db");
    const { file, identityFile, onProgress = () => () => {} } = options;
    const header = await extractDatabase(file, database, identityFile, onProgress("reading"));
    return await checkStore(scratch, options, header);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Checks a store that was taken out of a backup and that nobody serves. */
export async function checkStore(
  dataDir: string,
  { onProgress = () => () => {}, ...keys }: Pick<VerifyBackup, "onProgress"> & KeySource,
  header: BackupHeader,
): Promise<BackupReport> {
  const opened = await openStore(dataDir, keys);
  const { storage } = opened;
  try {
    const { revision, epoch } = storage.head();
    if (revision !== header.revision || epoch !== header.epoch) {
      throw damaged("its database is of another revision or epoch than its header says");
    }
    for (const purpose of STORE_KEY_PURPOSES) storeKey(opened, purpose);
    let total = 0n;
    for (const { keyId } of storage.masterKeys()) total += await storage.countWrappedBy(keyId);
    const report = { secrets: 0, records: 0, failures: [] as BackupReport["failures"][number][] };
    const progress = onProgress("opening records");
    for (const name of namesIn(opened)) {
      report.secrets += 1;
      for (const [slot, message] of openAll(opened, name)) {
        if (message === undefined) report.records += 1;
        else report.failures.push({ name, slot, message });
      }
      progress(BigInt(report.records + report.failures.length), total);
    }
    return { ...header, ...report };
  } finally {
    await storage.close();
  }
}

function* namesIn({ storage }: OpenedStore): Generator<SecretName, void, void> {
  for (let from = ""; ; ) {
    const { secrets } = storage.listSecrets({ from }, PAGE);
    for (const { name } of secrets) yield name;
    const last = secrets.at(-1);
    if (last === undefined || secrets.length < PAGE) return;
    // The least name above the last one.
    from = `${last.name}\0`;
  }
}

/** Each slot that has a record, and why it does not open. */
function* openAll(
  { storage, keyring }: OpenedStore,
  name: SecretName,
): Generator<readonly [SlotNumber, string | undefined], void, void> {
  const { storeId } = storage.identity;
  for (let after: SlotNumber | undefined; ; ) {
    const query = { limit: PAGE, withRecords: true, ...(after === undefined ? {} : { after }) };
    const { slots } = storage.listSlots(name, query);
    for (const { slot, versionId, record } of slots) {
      if (record !== undefined)
        yield [slot, failureOf(() => keyring.open({ storeId, name, slot, versionId }, record))];
    }
    after = slots.at(-1)?.slot;
    if (slots.length < PAGE) return;
  }
}

function failureOf(open: () => { erase(): void }): string | undefined {
  try {
    open().erase();
    return undefined;
  } catch (error) {
    if (error instanceof SlotsError) return error.message;
    throw error;
  }
}
