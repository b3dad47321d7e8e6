import type { FileAuditLog } from "./audit/file-audit-log.ts";
import type { Logger } from "./log.ts";
import { messageOf } from "./message-of.ts";
import type { Storage } from "./storage/storage.ts";

const EVERY_MS = 3_600_000;
const DAY_MS = 24 * 3_600_000;

/** Removes audit files older than so many days, now and every hour; 0 days keep all. Returns how to stop. */
export function keepAudit(auditLog: FileAuditLog, storage: Storage, days: number, log: Logger): () => void {
  if (days === 0) return () => {};
  let running = false;
  const prune = async () => {
    if (running) return;
    running = true;
    try {
      const removed = await auditLog.prune(Date.now() - days * DAY_MS, storage.auditAnchors());
      if (removed > 0) log.info({ removed, days }, "removed audit files that are older than the log is kept");
    } catch (error) {
      log.warn({ cause: messageOf(error) }, "old audit files could not be removed; it is tried again");
    } finally {
      running = false;
    }
  };
  void prune();
  const timer = setInterval(() => void prune(), EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
