import type { SecretName } from "../../domain/names.ts";
import type { Revision, SlotNumber } from "../../domain/numbers.ts";
import type { ChangeKind, ChangeRecord } from "../records.ts";
import { rowSum } from "./row-sum.ts";
import { damaged } from "./sqlite-errors.ts";

export interface ChangeColumns {
  readonly revision: bigint;
  readonly commit_id: Uint8Array;
  readonly time: bigint;
  readonly kind: string;
  readonly name: string | null;
  readonly slot: bigint | null;
  readonly subject: string | null;
  readonly principal: string;
  readonly rpc: string;
  readonly request_id: string | null;
  readonly row_sum: bigint;
}

function changeSum(row: Omit<ChangeColumns, "row_sum">): bigint {
  const { revision, commit_id, time, kind, name, slot, subject, principal, rpc, request_id } = row;
  return rowSum(revision, commit_id, time, kind, name, slot, subject, principal, rpc, request_id);
}

export function changeColumns(change: ChangeRecord): ChangeColumns {
  const row = {
    revision: change.revision,
    commit_id: change.commitId,
    time: BigInt(change.time),
    kind: change.kind,
    name: change.name ?? null,
    slot: change.slot ?? null,
    subject: change.subject ?? null,
    principal: change.principal,
    rpc: change.rpc,
    request_id: change.requestId ?? null,
  };
  return { ...row, row_sum: changeSum(row) };
}

export function parseChange(row: ChangeColumns): ChangeRecord {
  if (changeSum(row) !== row.row_sum) throw damaged("a change's record");
  return {
    revision: row.revision as Revision,
    commitId: row.commit_id,
    time: Number(row.time),
    kind: row.kind as ChangeKind,
    name: (row.name ?? undefined) as SecretName | undefined,
    slot: (row.slot ?? undefined) as SlotNumber | undefined,
    subject: row.subject ?? undefined,
    principal: row.principal,
    rpc: row.rpc,
    requestId: row.request_id ?? undefined,
  };
}
