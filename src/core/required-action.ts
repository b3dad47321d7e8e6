import type { Action } from "../domain/access.ts";

/**
 * What each RPC needs: an action on the name it is about, `admin` (which is about no name), or any identity at all.
 * The one place that says so; an RPC that is not here does not compile.
 */
export const REQUIRED_ACTION = {
  GetSecret: "read",
  GetEffectiveAt: "read",
  PutSlot: "write",
  WatchSecret: "watch",
  WatchSlots: "watch",
  ListSecrets: "list",
  DescribeSecret: "list",
  ListSlots: "list",
  UpdateSecret: "manage",
  DisableSlot: "manage",
  EnableSlot: "manage",
  DestroySlot: "manage",
  DeleteSecret: "manage",
  GetServerInfo: "identity",

  WhoAmI: "identity",
  // About another than the caller: `admin`.
  CheckAccess: "identity",
  CreateToken: "admin",
  ListTokens: "admin",
  RevokeToken: "admin",
  ListPolicies: "admin",
  ApplyPolicies: "admin",
  ListMasterKeys: "admin",
  RotateMasterKey: "admin",
  RetireMasterKey: "admin",
  CreateBackup: "admin",
  SearchAudit: "admin",

  // Of gRPC's own reflection service.
  ServerReflectionInfo: "identity",
} as const satisfies Record<string, Action | "identity">;

/** The name of an RPC that somebody must prove who they are for. */
export type Rpc = keyof typeof REQUIRED_ACTION;

export type WatchRpc = "WatchSecret" | "WatchSlots";

export function isWatch(rpc: Rpc): rpc is WatchRpc {
  return rpc === "WatchSecret" || rpc === "WatchSlots";
}
