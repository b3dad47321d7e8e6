import type { AuditLog } from "../audit/audit-log.ts";
import { NO_REVISION, type Revision } from "../domain/numbers.ts";
import type { Storage } from "../storage/storage.ts";

const CHANGES_A_PAGE = 1000;

/**
 * Adds to the log what a process committed and was killed before it could log (S4). Starts where the oldest chain
 * that was not closed in order is known to have come; a change that is logged twice does no harm, one that is
 * never logged would. Returns how many records were added.
 */
export async function completeAudit(storage: Storage, log: AuditLog, now: () => number): Promise<number> {
  const open = storage.auditAnchors().filter((anchor) => !anchor.closed && anchor.chain !== log.chain);
  if (open.length === 0) return 0;
  let from = open.reduce(
    (least, { revision }) => (revision < least ? revision : least),
    storage.head().revision,
  );
  const { revision: upTo } = storage.head();
  const logged = new Set<string>();
  for await (const { fields } of log.search({ changesAfter: from })) {
    if (typeof fields.revision === "string") logged.add(fields.revision);
  }
  let added = 0;
  for (;;) {
    const page = storage.changesAfter(from, CHANGES_A_PAGE);
    for (const change of page.changes) {
      from = change.revision;
      if (logged.has(String(change.revision))) continue;
      const { revision, time, kind, principal, rpc, name, slot, subject, requestId } = change;
      await log.append({
        kind: "completed",
        revision,
        changeTime: time,
        change: kind,
        principal,
        rpc,
        secret: name,
        slot,
        subject,
        requestId,
      });
      added += 1;
    }
    if (page.changes.length < CHANGES_A_PAGE) break;
  }
  const time = now();
  const revision = (upTo > NO_REVISION ? upTo : NO_REVISION) as Revision;
  await storage.putAuditAnchors(open.map((anchor) => ({ ...anchor, revision, time })));
  return added;
}
