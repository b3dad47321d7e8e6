import { type AuditFilter, MAX_SEARCH_LIMIT } from "../audit/search.ts";
import { invalidField, SlotsError } from "../domain/errors.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";
import { recorded, recordRefusal } from "./recorded.ts";
import type { Session } from "./session.ts";

const LONGEST_WAIT_MS = 60_000;

/** The records of this server's audit log that match, as JSON lines, oldest first. Needs `admin`, also while it follows. */
export async function* searchAudit(
  core: Core,
  call: Call,
  filter: Omit<AuditFilter, "signal" | "changesAfter">,
): AsyncGenerator<string, void, void> {
  if ((filter.limit ?? 0) > MAX_SEARCH_LIMIT) throw invalidField("limit", `must be 0 to ${MAX_SEARCH_LIMIT}`);
  await recorded(core, call, {}, async () => {
    core.authorizer.require(core.opened.sync(), call);
    await core.audit.listed(call);
  });
  const session = core.sessionOf(call);
  const over = new AbortController();
  const signal = AbortSignal.any([call.signal, over.signal]);
  void endWithRights(core, { connection: call.connection, signal }, session, over);
  try {
    for await (const record of core.auditLog.search({ ...filter, signal })) {
      session.require(core.opened.sync());
      yield record.json;
    }
    over.signal.throwIfAborted();
  } catch (cause) {
    if (call.signal.aborted) return;
    const reason: unknown = over.signal.aborted ? over.signal.reason : cause;
    const error =
      reason instanceof SlotsError
        ? reason
        : new SlotsError("INTERNAL", "the audit log can't be read", { cause: reason });
    await recordRefusal(core, call, error, {});
    throw error;
  } finally {
    over.abort();
  }
}

/** Ends a search that follows a quiet log when the caller's rights end (W12). */
async function endWithRights(
  core: Core,
  call: Pick<Call, "connection" | "signal">,
  session: Session,
  over: AbortController,
): Promise<void> {
  const rights = core.bell.subscribe([], call);
  try {
    while (!call.signal.aborted) {
      rights.arm();
      session.require(core.opened.sync());
      await rights.wait(session.atMost(LONGEST_WAIT_MS, core.now));
    }
  } catch (error) {
    over.abort(error);
  } finally {
    rights.close();
  }
}
