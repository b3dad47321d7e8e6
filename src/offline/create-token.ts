import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import type { AuditRecord } from "../audit/audit-log.ts";
import { FileAuditLog } from "../audit/file-audit-log.ts";
import { makeToken, type NewToken } from "../core/tokens.ts";
import type { Token } from "../crypto/tokens.ts";
import { SlotsError } from "../domain/errors.ts";
import type { Storage } from "../storage/storage.ts";
import { type KeySource, openStore, storeKey } from "./open-store.ts";

export interface OfflineToken extends NewToken, KeySource {
  readonly dataDir: string;
  /** Default: `audit` in the data directory. */
  readonly auditDir?: string | undefined;
}

const RPC = "OfflineCreateToken";

/**
 * Break glass: whoever owns the store's files makes a token without asking a server. A running server knows it at
 * once. The audit log is begun before the token is made, and has its record before the token is returned (S4).
 */
export async function createTokenOffline(
  wanted: OfflineToken,
): Promise<{ readonly token: Token; readonly tokenId: string; readonly principal: string }> {
  const dataDir = resolve(wanted.dataDir);
  const { token, record } = makeToken(wanted, Date.now());
  const opened = await openStore(dataDir, wanted);
  const { storage } = opened;
  try {
    requireOwner(join(dataDir, "store.db"));
    let covered = storage.head().revision;
    const log = await FileAuditLog.open({
      directory: resolve(wanted.auditDir ?? join(dataDir, "audit")),
      storeKey: storeKey(opened, "audit"),
      anchor: (anchor) => storage.putAuditAnchors([anchor]),
      covered: () => covered,
      // The room kept for a full disk is the server's.
      reserveBytes: 0,
      sync: "fsync",
    });
    try {
      const principal = `offline:${userInfo().username}`;
      const revision = await commitToken(storage, principal, record);
      const caller = { principal, method: "offline", proofId: "", peer: "local" } as const;
      await log.append({
        ...{ kind: "call", caller, rpc: RPC, code: "OK", changed: true },
        ...{ revision, subject: record.tokenId },
      } satisfies AuditRecord);
      covered = revision;
    } finally {
      await log.close();
    }
    return { token, tokenId: record.tokenId, principal: record.principal };
  } finally {
    await storage.close();
  }
}

async function commitToken(
  storage: Storage,
  principal: string,
  token: ReturnType<typeof makeToken>["record"],
) {
  const outcome = await storage.commit({
    commitId: randomBytes(16),
    time: Date.now(),
    principal,
    rpc: RPC,
    mutation: { kind: "create-token", token },
  });
  if (outcome.kind !== "committed") throw new SlotsError("INTERNAL", "the token was not made");
  return outcome.head.revision;
}

/** A file that root leaves in the log's folder could not be read by the server's own user. */
function requireOwner(file: string): void {
  const { uid } = statSync(file);
  const user = process.getuid?.();
  if (user === undefined || user === uid) return;
  throw new SlotsError(
    "PERMISSION_DENIED",
    `${file} belongs to user ${uid} and this is user ${user}; run it as the store's owner (sudo -u '#${uid}' …), ` +
      "so that what it writes stays readable to the server",
  );
}
