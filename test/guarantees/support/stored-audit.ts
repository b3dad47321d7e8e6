import { existsSync } from "node:fs";
import { join } from "node:path";
import { chainKey } from "../../../src/audit/chain.ts";
import { type LoggedRecord, searchAudit } from "../../../src/audit/search.ts";
import { verifyAudit } from "../../../src/audit/verify.ts";
import type { Keyring } from "../../../src/crypto/keyring.ts";
import { StoredValues } from "./stored-values.ts";

/** The audit log of a store that nobody serves. */
export interface StoredAudit {
  /** What verification says that is more than a notice. */
  readonly accusations: readonly string[];
  /** How many records there are of each change and disclosure. */
  readonly records: ReadonlyMap<string, number>;
  /** Changes that the store knows and the log does not. */
  readonly unrecorded: readonly string[];
}

/** As `slots audit verify` and `slots audit search` see it. */
export async function readStoredAudit(dataDir: string, keyring: Keyring): Promise<StoredAudit | undefined> {
  const store = StoredValues.open(dataDir, keyring);
  if (store === undefined) return undefined;
  try {
    const { reader, storeId } = store;
    const wrapped = reader.storeKeys().find(({ purpose }) => purpose === "audit");
    const key = wrapped === undefined ? undefined : keyring.openStoreKey(storeId, wrapped);
    const directory = join(dataDir, "audit");
    const begun = existsSync(directory);
    if (!begun && reader.auditAnchors().length > 0) throw new Error("the audit log's folder is gone");
    if (!begun) return { accusations: [], records: new Map(), unrecorded: [] };
    const { findings, ok } = await verifyAudit({
      directory,
      keyOfChain: (chain) => (key === undefined ? undefined : chainKey(key, chain)),
      anchors: reader.auditAnchors(),
    });
    const accusations = ok
      ? []
      : findings.map(({ kind, file, line, message }) => `${kind} ${file}:${line} ${message}`);
    const records = new Map<string, number>();
    for await (const record of searchAudit(directory, {})) {
      const name = nameOf(record);
      if (name !== undefined) records.set(name, (records.get(name) ?? 0) + 1);
    }
    const { changes } = reader.changesAfter(0n as never, 100_000);
    const unrecorded = changes
      .map(({ revision }) => changeRecord(revision))
      .filter((each) => !records.has(each));
    return { accusations, records, unrecorded };
  } finally {
    store.close();
  }
}

/** How records are named here. */
export const changeRecord = (revision: bigint) => `change ${revision}`;
export const readRecord = (name: string, slot: bigint) => `read ${name} ${slot}`;
export const deliveryRecord = (name: string, revision: bigint) => `delivery ${name} ${revision}`;

function nameOf({ fields }: LoggedRecord): string | undefined {
  const { kind, rpc, code, secret, slot, revision, changed } = fields as Readonly<Record<string, string>>;
  if (changed) return changeRecord(BigInt(revision ?? -1));
  if (kind === "delivery") return deliveryRecord(String(secret), BigInt(revision ?? -1));
  if (rpc === "GetSecret" && code === "OK") return readRecord(String(secret), BigInt(slot ?? -1));
  return undefined;
}
