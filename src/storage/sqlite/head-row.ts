import type { Revision } from "../../domain/numbers.ts";
import type { Head } from "../records.ts";
import { rowSum } from "./row-sum.ts";

/** The columns of the one row of `store` that move with commits. */
export interface HeadColumns {
  readonly epoch: string;
  readonly revision: bigint;
  readonly access_revision: bigint;
}

/** Checked when a store is opened, not in each read: the row is read in every call. */
export function headSum(storeId: string, head: Head): bigint {
  return rowSum(storeId, head.epoch, head.revision, head.accessRevision);
}

export function parseHead(row: HeadColumns): Head {
  return {
    epoch: row.epoch,
    revision: row.revision as Revision,
    accessRevision: row.access_revision as Revision,
  };
}
