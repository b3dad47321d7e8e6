import type { DescMethod } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { AdminService } from "../../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";

export const METHODS: readonly DescMethod[] = [...SecretService.methods, ...AdminService.methods];

/** What an RPC may answer to whoever may call it. Anything else is a fault, DATA_LOSS too: nothing was damaged. */
const { OK, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, ABORTED } = status;
const { RESOURCE_EXHAUSTED, UNAVAILABLE, UNAUTHENTICATED, PERMISSION_DENIED } = status;
const READ = [OK, INVALID_ARGUMENT, NOT_FOUND];
const LIST = [OK, INVALID_ARGUMENT];
const CHANGE = [...READ, ABORTED];

const ANSWERS: Readonly<Record<string, readonly status[]>> = {
  GetSecret: READ,
  GetEffectiveAt: READ,
  // A secret has at most 10,000 slots.
  PutSlot: [...LIST, ALREADY_EXISTS, FAILED_PRECONDITION, ABORTED, RESOURCE_EXHAUSTED],
  WatchSecret: READ,
  WatchSlots: READ,
  ListSecrets: LIST,
  DescribeSecret: READ,
  ListSlots: READ,
  UpdateSecret: CHANGE,
  DisableSlot: [...CHANGE, FAILED_PRECONDITION],
  EnableSlot: [...CHANGE, FAILED_PRECONDITION],
  DestroySlot: CHANGE,
  DeleteSecret: CHANGE,
  GetServerInfo: LIST,
  WhoAmI: LIST,
  CheckAccess: LIST,
  CreateToken: LIST,
  ListTokens: LIST,
  RevokeToken: READ,
  ListPolicies: LIST,
  ApplyPolicies: [...LIST, ABORTED],
  ListMasterKeys: LIST,
  // Two rotations do not run at once.
  RotateMasterKey: [...LIST, FAILED_PRECONDITION, UNAVAILABLE],
  RetireMasterKey: [...READ, FAILED_PRECONDITION],
  CreateBackup: LIST,
  SearchAudit: LIST,
};

/** Who calls: the admin, somebody without any right, and somebody without a token. */
export const CALLERS = ["admin", "nobody", "stranger"] as const;
export type Caller = (typeof CALLERS)[number];

/**
 * Whether this may be an answer. A policy that the fuzzer itself applied may have given rights to those who had
 * none, so of `nobody` no more is known than that a refusal is right, too.
 */
export function mayAnswer(rpc: string, caller: Caller, code: number): boolean {
  if (caller === "stranger") return code === UNAUTHENTICATED;
  return ANSWERS[rpc]?.includes(code) === true || (caller === "nobody" && code === PERMISSION_DENIED);
}

/**
 * The part of the inputs that comes from the admin; of the rest most is of somebody without rights, who is refused
 * after the request was decoded and checked and before anything is done. Small where what is done is long and the
 * same whatever was asked: a copy of the store, a search through the whole log.
 */
const ADMINS: Readonly<Record<string, number>> = { CreateBackup: 0.002, SearchAudit: 0.03 };

export function callerOf(rpc: string, random: number): Caller {
  const admins = ADMINS[rpc] ?? 0.93;
  if (random < admins) return "admin";
  return random < 0.98 ? "nobody" : "stranger";
}
