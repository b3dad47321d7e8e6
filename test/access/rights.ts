import { Action, AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import type { Wire } from "../support/wire.ts";
import type { PolicyText } from "./oracle.ts";

export const ACTIONS = ["read", "watch", "list", "write", "manage", "admin"] as const;
export type ActionName = (typeof ACTIONS)[number];

const WIRE: Readonly<Record<ActionName, Action>> = {
  read: Action.READ,
  watch: Action.WATCH,
  list: Action.LIST,
  write: Action.WRITE,
  manage: Action.MANAGE,
  admin: Action.ADMIN,
};

export const wireAction = (action: string): Action => WIRE[action as ActionName];

/** Replaces all policies. */
export function applyPolicies(admin: Wire, policies: readonly PolicyText[]) {
  return admin.call(AdminService.method.applyPolicies, {
    policies: policies.map(({ name, rules, principals, groups }) => ({
      name,
      rules: rules.map((rule) => ({ actions: rule.actions.map(wireAction), names: [...rule.names] })),
      principals: [...principals],
      groups: [...groups],
    })),
  });
}

/** A policy of one rule for one principal. */
export const grant = (
  name: string,
  principal: string,
  actions: readonly string[],
  names: readonly string[],
): PolicyText => ({ name, rules: [{ actions, names }], principals: [principal], groups: [] });

export async function revokeToken(admin: Wire, tokenId: string): Promise<bigint> {
  return (await admin.call(AdminService.method.revokeToken, { tokenId })).revision;
}
