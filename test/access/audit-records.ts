import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { VerifyReport } from "../../src/audit/verify.ts";
import { verifyAuditFiles } from "../../src/offline/verify-audit.ts";

/** A line of the log, as an auditor reads it. */
export interface Line {
  readonly kind: string;
  readonly time: string;
  readonly principal?: string;
  readonly method?: string;
  readonly proof?: string;
  readonly peer?: string;
  readonly rpc?: string;
  readonly event?: string;
  readonly secret?: string;
  readonly slot?: string;
  readonly revision?: string;
  readonly subject?: string;
  readonly code?: string;
  readonly reason?: string;
  readonly request_id?: string;
  readonly changed?: boolean;
  readonly count?: number;
  readonly address?: string;
  readonly streams?: readonly { readonly principal: string; readonly proof: string }[];
}

/** What stands in the files now, in no order between chains. */
export function auditLines(directory: string): Line[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(".jsonl"))
    .sort()
    .flatMap((file) =>
      readFileSync(join(directory, file), "utf8")
        .replace(/\0.*$/s, "")
        .split("\n")
        .filter((line) => line.endsWith("}"))
        .map((line) => JSON.parse(line) as Line),
    );
}

export const verify = (dataDir: string): Promise<VerifyReport> => verifyAuditFiles({ dataDir });
