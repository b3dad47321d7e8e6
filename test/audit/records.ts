import type { AuditCaller, AuditLog, CallRecord } from "../../src/audit/audit-log.ts";
import type { AuditFilter, LoggedRecord } from "../../src/audit/search.ts";

export const PAY: AuditCaller = {
  principal: "token:pay",
  method: "token",
  proofId: "tk_0123456789ab",
  peer: "10.0.0.7:51234",
};
export const SHOP: AuditCaller = {
  ...PAY,
  principal: "spiffe://prod/shop",
  method: "certificate",
  proofId: "4a",
};

export function call(fields: Partial<CallRecord> = {}): CallRecord {
  return { kind: "call", caller: PAY, rpc: "GetSecret", secret: "prod/db", slot: 5n, code: "OK", ...fields };
}

export async function found(log: AuditLog, filter: AuditFilter = {}): Promise<readonly LoggedRecord[]> {
  const records: LoggedRecord[] = [];
  for await (const record of log.search(filter)) records.push(record);
  return records;
}
