import { type AuditFilter, MAX_SEARCH_LIMIT } from "../audit/search.ts";
import { invalidField, SlotsError } from "../domain/errors.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";
import { recorded } from "./recorded.ts";

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
  try {
    for await (const record of core.auditLog.search({ ...filter, signal: call.signal })) {
      const head = core.opened.sync();
      core.authenticator.recheck(head, call.identity);
      core.authorizer.require(head, call);
      yield record.json;
    }
  } catch (error) {
    if (call.signal.aborted) return;
    throw error instanceof SlotsError
      ? error
      : new SlotsError("INTERNAL", "the audit log can't be read", { cause: error });
  }
}
