import { join, resolve } from "node:path";
import { chainKey } from "../audit/chain.ts";
import { type VerifyReport, verifyAudit } from "../audit/verify.ts";
import { type KeySource, openStore, storeKey } from "./open-store.ts";

export type { Finding } from "../audit/finding.ts";
export type { VerifyReport } from "../audit/verify.ts";

export interface VerifyAuditFiles extends KeySource {
  readonly dataDir: string;
  /** Default: `audit` in the data directory. */
  readonly auditDir?: string | undefined;
}

/** S4, from the files alone, or from copies of them; a server may be writing the log meanwhile. */
export async function verifyAuditFiles(options: VerifyAuditFiles): Promise<VerifyReport> {
  const dataDir = resolve(options.dataDir);
  const opened = await openStore(dataDir, options);
  try {
    const key = storeKey(opened, "audit");
    return await verifyAudit({
      directory: resolve(options.auditDir ?? join(dataDir, "audit")),
      keyOfChain: (chain) => chainKey(key, chain),
      anchors: opened.storage.auditAnchors(),
    });
  } finally {
    await opened.storage.close();
  }
}
