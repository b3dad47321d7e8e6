import type { Command } from "commander";
import type { TokenMetadata } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { collect, parseMoment } from "./arguments.ts";
import { usageError } from "./exit-codes.ts";
import { dateOf, timestampOf } from "./message-time.ts";
import { type Output, time } from "./output.ts";
import { addConnectFlags, type ConnectFlags, offline, online, withClient } from "./session.ts";

interface CreateFlags extends ConnectFlags {
  readonly principal?: string;
  readonly group?: readonly string[];
  readonly expires?: string;
  readonly comment?: string;
  readonly dataDir?: string;
  readonly masterKeyFile?: string;
  readonly auditDir?: string;
}

/** What a token is made for when nobody says: whoever owns the files may do everything (break glass). */
const BREAK_GLASS_PRINCIPAL = "token:admin";

export function addTokens(program: Command): void {
  const group = program.command("token").description("Make, list and revoke tokens.");
  addCreate(group);

  const list = group.command("list").description("List tokens, oldest first, without their secrets.");
  online<[], object>(list, async ({ client, out }) => {
    const rows: string[][] = [];
    for (let pageToken = ""; ; ) {
      const page = await client.admin.listTokens({ pageSize: 1000, pageToken });
      for (const token of page.tokens) {
        if (out.json) out.document(tokenDocument(token));
        else rows.push(row(token));
      }
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    if (!out.json) out.table([["ID", "PRINCIPAL", "GROUPS", "CREATED", "ENDS", "COMMENT"], ...rows]);
  });

  const revoke = group
    .command("revoke <ID>")
    .description("End a token at once, also on streams that are open.")
    .addHelpText(
      "after",
      "\nID is the public id that 'slots token list' shows, such as tk_…; never the token itself.",
    );
  online<[string], object>(revoke, async ({ client, out }, [tokenId]) => {
    if (tokenId.startsWith("sst_")) {
      throw usageError(
        "that is a token, not its id; take it for known to others now, and revoke the id that goes with it",
      );
    }
    const { metadata, revision } = await client.admin.revokeToken({ tokenId });
    const document = { ...(metadata === undefined ? {} : tokenDocument(metadata)), revision };
    out.result(document, () => out.line(`${tokenId}: revoked, revision ${revision}`));
  });
}

function addCreate(group: Command): void {
  const create = addConnectFlags(group.command("create"))
    .description("Make a token. It is printed this once; the store keeps only its hash.")
    .option(
      "--principal <P>",
      "whom it stands for, such as token:payments; with --data-dir, default token:admin",
    )
    .option("--group <G>", "a group it belongs to; may be repeated", collect)
    .option("--expires <WHEN>", "when it ends: 12h, 30d, or a date; without it, never")
    .option("--comment <TEXT>", "what it is for")
    .option("--data-dir <DIR>", "break glass: make it in the store's own files, without a server or a token")
    .option("--master-key-file <FILE>", "with --data-dir: the master keys; default DIR/master.key")
    .option("--audit-dir <DIR>", "with --data-dir: where the audit log lives; default DIR/audit")
    .addHelpText(
      "after",
      `
The token alone goes to standard output, so that it can be piped to where it is kept.
Examples:
  slots token create --principal token:payments --expires 90d > payments.token
  slots token create --data-dir ./data > data/admin.token    # the admin token was lost`,
    );
  offline<[], CreateFlags>(create, async (out, _, flags) => {
    const expires = flags.expires === undefined ? undefined : parseMoment(flags.expires, "--expires", 1);
    if (flags.dataDir !== undefined) return breakGlass(out, flags, flags.dataDir, expires);
    if ((flags.masterKeyFile ?? flags.auditDir) !== undefined) {
      throw usageError("--master-key-file and --audit-dir go with --data-dir; the server has its own");
    }
    const { principal, group: groups = [], comment = "" } = flags;
    if (principal === undefined) throw usageError("say whom it stands for: --principal token:NAME");
    await withClient(flags, out, async ({ client }) => {
      const { token, metadata } = await client.admin.createToken({
        principal,
        groups: [...groups],
        comment,
        ...(expires === undefined ? {} : { expireTime: timestampOf(expires) }),
      });
      show(out, token, metadata === undefined ? {} : tokenDocument(metadata));
    });
  });
}

async function breakGlass(
  out: Output,
  flags: CreateFlags,
  dataDir: string,
  expires: Date | undefined,
): Promise<void> {
  const { createTokenOffline } = await import("../offline/create-token.ts");
  const { token, tokenId, principal } = await createTokenOffline({
    dataDir,
    masterKeyFile: flags.masterKeyFile,
    auditDir: flags.auditDir,
    principal: flags.principal ?? BREAK_GLASS_PRINCIPAL,
    groups: flags.group ?? [],
    comment: flags.comment ?? "made offline",
    expireTime: expires?.getTime(),
  });
  show(out, token, { tokenId, principal });
}

function show(
  out: Output,
  token: string,
  facts: { readonly tokenId?: string; readonly principal?: string },
): void {
  out.result({ token, ...facts }, () => {
    out.line(token);
    out.note(`token ${facts.tokenId} for ${facts.principal}; it can't be shown again`);
  });
}

function tokenDocument(token: TokenMetadata) {
  const { tokenId, principal, groups, comment, createTime, expireTime, revokeTime } = token;
  return {
    ...{ tokenId, principal, groups, comment },
    ...{ createTime: dateOf(createTime), expireTime: dateOf(expireTime), revokeTime: dateOf(revokeTime) },
  };
}

function row(token: TokenMetadata): string[] {
  const { tokenId, principal, groups, comment } = token;
  const { createTime, expireTime, revokeTime } = tokenDocument(token);
  const ends =
    revokeTime !== undefined
      ? `revoked ${time(revokeTime)}`
      : expireTime === undefined
        ? "never"
        : time(expireTime);
  return [tokenId, principal, groups.join(",") || "-", time(createTime), ends, comment];
}
