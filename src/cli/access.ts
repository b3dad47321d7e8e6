import { type Command, Option } from "commander";
import { Action, IdentityMethod } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { collect } from "./arguments.ts";
import { EXIT, usageError } from "./exit-codes.ts";
import { dateOf } from "./message-time.ts";
import { time } from "./output.ts";
import { online } from "./session.ts";

/** The actions as people write them. */
export const ACTIONS = {
  read: Action.READ,
  watch: Action.WATCH,
  list: Action.LIST,
  write: Action.WRITE,
  manage: Action.MANAGE,
  admin: Action.ADMIN,
} as const;
export type ActionName = keyof typeof ACTIONS;

const METHODS: Readonly<Record<number, string>> = {
  [IdentityMethod.TOKEN]: "token",
  [IdentityMethod.CERTIFICATE]: "certificate",
  [IdentityMethod.JWT]: "jwt",
};

export function addWhoAmI(program: Command): void {
  const command = program
    .command("whoami")
    .description("Show who the server takes you for, and which policies apply.");
  online<[], object>(command, async ({ client, out }) => {
    const { principal, method, groups, tokenId, expireTime, policies } = await client.admin.whoAmI({});
    const who = {
      principal,
      method: METHODS[method] ?? "unknown",
      groups,
      tokenId,
      expireTime: dateOf(expireTime),
      policies,
    };
    out.result(who, () => {
      out.table([
        ["principal", principal],
        ["proven by", tokenId === "" ? who.method : `${who.method} ${tokenId}`],
        ["until", who.expireTime === undefined ? "without end" : time(who.expireTime)],
        ["groups", groups.join(", ") || "-"],
        ["policies", policies.join(", ") || "none: nothing is allowed"],
      ]);
    });
  });
}

interface CanFlags {
  readonly principal?: string;
  readonly group?: readonly string[];
}

export function addCan(program: Command): void {
  const command = program
    .command("can <ACTION> [NAME]")
    .description(
      "Tell whether an action on a name is allowed and which rule allows it; ends with 4 when none does.",
    )
    .addOption(new Option("--principal <P>", "ask about somebody else (needs admin), such as token:payments"))
    .option("--group <G>", "a group to assume for that principal; may be repeated", collect)
    .addHelpText(
      "after",
      `
ACTION is one of ${Object.keys(ACTIONS).join(", ")}; admin needs no NAME.
Examples:
  slots can read app/db
  slots can write app/db --principal token:payments --group ops`,
    );
  online<[string, string | undefined], CanFlags>(command, async ({ client, out }, [action, name], flags) => {
    if (!isAction(action)) throw usageError(`ACTION must be one of ${Object.keys(ACTIONS).join(", ")}`);
    if (name === undefined && action !== "admin") throw usageError(`say on which NAME to '${action}'`);
    if (flags.group !== undefined && flags.principal === undefined)
      throw usageError("--group needs --principal");
    const answer = await client.admin.checkAccess({
      action: ACTIONS[action],
      name: name ?? "",
      principal: flags.principal ?? "",
      groups: [...(flags.group ?? [])],
    });
    const { allowed, policy, rule, pattern } = answer;
    const asked = { action, name: name ?? "", principal: flags.principal ?? "" };
    out.result({ ...asked, allowed, ...(allowed ? { policy, rule, pattern } : {}) }, () => {
      out.line(allowed ? `yes: policy '${policy}', rule ${rule} (${pattern})` : "no: no rule allows it");
    });
    if (!allowed) process.exitCode = EXIT.denied;
  });
}

function isAction(text: string): text is ActionName {
  return Object.hasOwn(ACTIONS, text);
}

export function addInfo(program: Command): void {
  const command = program
    .command("info")
    .description("Show the server's version, limits and where its store stands.");
  online<[], object>(command, async ({ client, out, address }) => {
    const { version, epoch, revision, features, limits } = await client.getServerInfo();
    const { $typeName: _, $unknown: __, ...bounds } = limits ?? { $typeName: "", $unknown: [] };
    out.result({ version, epoch, revision, features, limits: bounds }, () => {
      out.table([
        ["address", address],
        ["version", version],
        ["epoch", epoch],
        ["revision", String(revision)],
        ["features", features.join(", ") || "-"],
        ...Object.entries(bounds).map(([name, bound]) => [words(name), String(bound)]),
      ]);
    });
  });
}

/** `maxValueBytes` as `max value bytes`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
