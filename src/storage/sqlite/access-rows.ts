import type { Policy } from "../../domain/access.ts";
import type { TokenRecord } from "../records.ts";
import { rowSum } from "./row-sum.ts";
import { damaged } from "./sqlite-errors.ts";

export interface TokenColumns {
  readonly token_id: string;
  readonly hash: Uint8Array;
  readonly principal: string;
  readonly groups: string;
  readonly comment: string;
  readonly create_time: bigint;
  readonly expire_time: bigint | null;
  readonly revoke_time: bigint | null;
  readonly row_sum: bigint;
}

export interface PolicyColumns {
  readonly name: string;
  readonly body: string;
  readonly row_sum: bigint;
}

function tokenSum(row: Omit<TokenColumns, "row_sum">): bigint {
  const { token_id, hash, principal, groups, comment, create_time, expire_time, revoke_time } = row;
  return rowSum(token_id, hash, principal, groups, comment, create_time, expire_time, revoke_time);
}

export function tokenColumns(token: TokenRecord): TokenColumns {
  const row = {
    token_id: token.tokenId,
    hash: token.hash,
    principal: token.principal,
    groups: JSON.stringify(token.groups),
    comment: token.comment,
    create_time: BigInt(token.createTime),
    expire_time: token.expireTime === undefined ? null : BigInt(token.expireTime),
    revoke_time: token.revokeTime === undefined ? null : BigInt(token.revokeTime),
  };
  return { ...row, row_sum: tokenSum(row) };
}

export function parseToken(row: TokenColumns): TokenRecord {
  if (tokenSum(row) !== row.row_sum) throw damaged("a token's record");
  return {
    tokenId: row.token_id,
    hash: row.hash,
    principal: row.principal,
    groups: JSON.parse(row.groups) as string[],
    comment: row.comment,
    createTime: Number(row.create_time),
    expireTime: row.expire_time === null ? undefined : Number(row.expire_time),
    revokeTime: row.revoke_time === null ? undefined : Number(row.revoke_time),
  };
}

export function policyColumns(policy: Policy): PolicyColumns {
  const body = JSON.stringify(policy);
  return { name: policy.name, body, row_sum: rowSum(policy.name, body) };
}

export function parsePolicyRow(row: PolicyColumns): Policy {
  if (rowSum(row.name, row.body) !== row.row_sum) throw damaged("a policy's record");
  return JSON.parse(row.body) as Policy;
}
