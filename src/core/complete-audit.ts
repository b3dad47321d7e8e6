import type { AuditAnchor, AuditLog, CompletedRecord } from "../audit/audit-log.ts";
import { NO_REVISION, type Revision } from "../domain/numbers.ts";
import type { ChangeRecord } from "../storage/records.ts";
import type { Storage } from "../storage/storage.ts";

const CHANGES_A_PAGE = 1000;
/**
 * A clock that was set back further makes a change be logged twice, which does no harm; what was logged in this time
 * is read, and delays the start.
 */
const CLOCK_STEP_MS = 10_000;

/**
 * The revision up to which every change is known to be in the log: where the oldest chain that was not closed in
 * order had come. A store that no log was ever kept of is at its beginning.
 */
export function auditedUpTo(storage: Storage): Revision {
  if (storage.auditAnchors().length === 0) return NO_REVISION;
  return openAnchors(storage).reduce(
    (least, { revision }) => (revision < least ? revision : least),
    storage.head().revision,
  );
}

/**
 * Adds to the log what was committed after `before` and is not in it: changes of a process that was killed before
 * it could log them, or of the first start (S4). A change that is logged twice does no harm, one that is never
 * logged would. Returns how many records were added.
 */
export async function completeAudit(
  storage: Storage,
  log: AuditLog,
  before: Revision,
  now: () => number,
): Promise<number> {
  const open = openAnchors(storage).filter(({ chain }) => chain !== log.chain);
  let from = before;
  const { revision: upTo } = storage.head();
  const [first] = storage.changesAfter(from, 1).changes;
  if (first === undefined) return 0;
  // A change is logged after it was committed, so that older files need not be read.
  const start = first.time - CLOCK_STEP_MS;
  const logged = new Set<string>();
  // Files of earlier processes are passed over unread: what is missed in them is logged twice.
  for await (const { fields } of log.search({ changesAfter: from, start, writtenSince: start })) {
    if (typeof fields.revision === "string") logged.add(fields.revision);
  }
  let added = 0;
  for (;;) {
    const page = storage.changesAfter(from, CHANGES_A_PAGE);
    for (const change of page.changes) {
      from = change.revision;
      if (logged.has(String(change.revision))) continue;
      await log.append(completedRecord(change));
      added += 1;
    }
    if (page.changes.length < CHANGES_A_PAGE) break;
  }
  const time = now();
  // A chain that went on meanwhile is another live process's, which says by itself how far it has come.
  const ended = openAnchors(storage).filter(({ chain, records }) =>
    open.some((anchor) => anchor.chain === chain && anchor.records === records),
  );
  await storage.putAuditAnchors(ended.map((anchor) => ({ ...anchor, revision: upTo, time })));
  return added;
}

/** What the log says of a change that was made and could not be logged by who made it. */
export function completedRecord(change: ChangeRecord): CompletedRecord {
  const { revision, time, kind, principal, rpc, name, slot, subject, requestId } = change;
  return {
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
  };
}

function openAnchors(storage: Storage): readonly AuditAnchor[] {
  return storage.auditAnchors().filter(({ closed }) => !closed);
}
