import type { AdminService, Policy as WirePolicy } from "../../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { backup } from "../../core/backup.ts";
import { type Call, type Send, sent } from "../../core/call.ts";
import type { Core } from "../../core/core.ts";
import type { KeyManager } from "../../core/master-keys.ts";
import { parsePageSize } from "../../core/page-token.ts";
import { applyPolicies, checkAccess, listPolicies } from "../../core/policies.ts";
import { searchAudit } from "../../core/search-audit.ts";
import { createToken, listTokens, revokeToken } from "../../core/tokens.ts";
import type { Policy } from "../../domain/access.ts";
import { parseSecretName } from "../../domain/names.ts";
import { parseSlotNumber } from "../../domain/numbers.ts";
import type { TokenRecord } from "../../storage/records.ts";
import type { Handlers } from "../adapter.ts";
import { millisOf, parseAction, timestamp, WIRE_ACTION, WIRE_METHOD } from "../convert.ts";

/** AdminService: who may do what, keys, backups and the audit log. */
export function adminService(core: Core, keys: KeyManager): Handlers<typeof AdminService> {
  return {
    whoAmI: async (_request, call) => {
      const { name, method, groups, proofId, expireTime } = call.identity.principal;
      return {
        principal: name,
        method: WIRE_METHOD[method],
        groups: [...groups],
        tokenId: method === "token" ? proofId : "",
        ...(expireTime === undefined ? {} : { expireTime: timestamp(expireTime) }),
        policies: [...core.authorizer.policiesOf(core.opened.sync(), call.identity.principal)],
      };
    },

    checkAccess: async (request, call) => {
      const action = parseAction(request.action, "action");
      const name = action === "admin" ? "" : parseSecretName(request.name);
      const principal =
        request.principal === "" ? undefined : { name: request.principal, groups: request.groups };
      const grant = await checkAccess(core, call, { principal, action, name });
      return grant === undefined ? { allowed: false } : { allowed: true, ...grant };
    },

    createToken: async (request, call) => {
      const { principal, groups, comment } = request;
      const expireTime = millisOf(request.expireTime, "expire_time");
      const { token, record, revision } = await createToken(core, call, {
        principal,
        groups,
        comment,
        expireTime,
      });
      return { token, metadata: tokenMetadata(record), revision };
    },

    listTokens: async ({ pageSize, pageToken }, call) => {
      const page = await listTokens(core, call, { pageSize: parsePageSize(pageSize), pageToken });
      return { tokens: page.items.map(tokenMetadata), nextPageToken: page.nextPageToken };
    },

    revokeToken: async ({ tokenId }, call) => {
      const { record, revision } = await revokeToken(core, call, tokenId);
      return { metadata: tokenMetadata(record), revision };
    },

    listPolicies: async (_request, call) => {
      const { policies, etag } = await listPolicies(core, call);
      return { policies: policies.map(wirePolicy), etag };
    },

    applyPolicies: async ({ policies, etag, dryRun }, call) => {
      const wanted = policies.map((policy, index) => domainPolicy(policy, `policies[${index}]`));
      const changes = await applyPolicies(core, call, { policies: wanted, etag, dryRun });
      const { added, changed, removed, warnings } = changes;
      return {
        added: [...added],
        changed: [...changed],
        removed: [...removed],
        warnings: [...warnings],
        etag: changes.etag,
        revision: changes.revision,
      };
    },

    listMasterKeys: async (_request, call) => {
      const listed = await keys.list(call);
      return { keys: listed.map((key) => ({ ...key, createTime: timestamp(key.createTime) })) };
    },

    rotateMasterKey: ({ keyId }, call, send) => sendAll(keys.rotate(call, keyId), call, send),

    retireMasterKey: async ({ keyId }, call) => keys.retire(call, keyId),

    createBackup: (_request, call, send) => sendAll(backup(core, call), call, send),

    searchAudit: async (request, call, send) => {
      const { name, principal, slot, follow, limit } = request;
      const records = searchAudit(core, call, {
        secret: name === "" ? undefined : parseSecretName(name),
        principal: principal === "" ? undefined : principal,
        slot: slot === undefined ? undefined : parseSlotNumber(slot),
        start: millisOf(request.startTime, "start_time"),
        end: millisOf(request.endTime, "end_time"),
        follow,
        limit,
      });
      await sendAll(records, call, (recordJson, taken) => send({ recordJson }, taken));
    },
  };
}

async function sendAll<M>(messages: AsyncIterable<M>, { signal }: Call, send: Send<M>): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) return;
    await sent(send, message);
    if (signal.aborted) return;
  }
}

function tokenMetadata(token: TokenRecord) {
  const { tokenId, principal, groups, comment, createTime, expireTime, revokeTime } = token;
  return {
    tokenId,
    principal,
    groups: [...groups],
    comment,
    createTime: timestamp(createTime),
    ...(expireTime === undefined ? {} : { expireTime: timestamp(expireTime) }),
    ...(revokeTime === undefined ? {} : { revokeTime: timestamp(revokeTime) }),
  };
}

function wirePolicy({ name, comment, rules, principals, groups }: Policy) {
  return {
    name,
    comment,
    rules: rules.map((rule) => ({
      actions: rule.actions.map((action) => WIRE_ACTION[action]),
      names: [...rule.names],
    })),
    principals: [...principals],
    groups: [...groups],
  };
}

function domainPolicy(policy: WirePolicy, field: string): Policy {
  const { name, comment, principals, groups } = policy;
  const rules = policy.rules.map((rule, index) => ({
    actions: rule.actions.map((action) => parseAction(action, `${field}.rules[${index}].actions`)),
    names: rule.names,
  }));
  return { name, comment, rules, principals, groups };
}
