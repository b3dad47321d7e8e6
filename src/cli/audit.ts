import type { Command } from "commander";
import { parseMoment, parseNumber } from "./arguments.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import { timestampOf } from "./message-time.ts";
import { count, type Output } from "./output.ts";
import { offline, online } from "./session.ts";
import { addStoreFlags, keySource, type StoreFlags } from "./store-flags.ts";

interface SearchFlags {
  readonly secret?: string;
  readonly principal?: string;
  readonly slot?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
}

export function addAudit(program: Command): void {
  const group = program.command("audit").description("Read and verify the audit log.");

  const tail = filters(group.command("tail"))
    .description("Show the newest records, and with --follow the new ones as they are written.")
    .option("-n, --lines <N>", "how many", "20")
    .option("-f, --follow", "go on with new records")
    .addHelpText("after", "\nExample:\n  slots audit tail -f --secret app/db");
  online<[], SearchFlags & { readonly lines: string; readonly follow?: boolean }>(
    tail,
    async ({ client, out }, _, flags) => {
      const request = {
        ...filterOf(flags),
        limit: limitOf(flags.lines, "--lines"),
        follow: flags.follow ?? false,
      };
      for await (const { recordJson } of client.admin.searchAudit(request)) show(out, recordJson);
    },
  );

  const search = filters(group.command("search"))
    .description("Show the records that match, oldest first.")
    .option("--since <WHEN>", "at or after: a date, or so long ago (90m, 12h, 30d)")
    .option("--until <WHEN>", "before: a date, or so long ago")
    .option("--limit <N>", "only the newest N of them (at most 10000)")
    .addHelpText("after", "\nExample:\n  slots audit search --secret app/db --slot 5 --since 30d");
  online<[], SearchFlags>(search, async ({ client, out }, _, flags) => {
    const { since, until, limit } = flags;
    const request = {
      ...filterOf(flags),
      ...(since === undefined ? {} : { startTime: timestampOf(parseMoment(since, "--since", -1)) }),
      ...(until === undefined ? {} : { endTime: timestampOf(parseMoment(until, "--until", -1)) }),
      limit: limit === undefined ? 0 : limitOf(limit, "--limit"),
    };
    for await (const { recordJson } of client.admin.searchAudit(request)) show(out, recordJson);
  });

  addVerify(group);
}

function filters(command: Command): Command {
  return command
    .option("--secret <NAME>", "only records of this secret")
    .option("--principal <P>", "only records of this principal, deliveries to its watches among them")
    .option("--slot <N>", "only records of this slot");
}

function filterOf({ secret, principal, slot }: SearchFlags) {
  return {
    name: secret ?? "",
    principal: principal ?? "",
    ...(slot === undefined ? {} : { slot: parseNumber(slot, "--slot") }),
  };
}

function limitOf(text: string, option: string): number {
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || number < 1 || number > 10_000)
    throw usageError(`${option} must be 1 to 10000`);
  return number;
}

/** The record as it stands in the log, or its parts in a row. */
function show(out: Output, recordJson: string): void {
  if (out.json) {
    out.line(recordJson);
    return;
  }
  const record: Record<string, unknown> = JSON.parse(recordJson);
  const { time, kind, principal, rpc, event, secret, slot, revision, code, reason, streams, subject } =
    record;
  const who = Array.isArray(streams) ? streams.map((stream) => stream.principal).join(",") : principal;
  const parts = [time, who ?? kind, rpc, event, secret, subject].filter((part) => part !== undefined);
  const labelled = Object.entries({
    slot,
    revision,
    code,
    reason,
    address: record.address,
    count: record.count,
  })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  const refused = code !== undefined && code !== "OK";
  out.line(out.paint(refused ? "red" : "reset", [...parts, ...labelled].join("  ")));
}

interface VerifyFlags extends StoreFlags {
  readonly dataDir: string;
  readonly auditDir?: string;
}

function addVerify(group: Command): void {
  const verify = group
    .command("verify")
    .description(
      "Check the whole log against its chain and the store's anchors (offline); ends with 8 if it was touched.",
    )
    .option("--data-dir <DIR>", "the store, or a copy of it: the chain's key and anchors are in it", "./data")
    .option("--audit-dir <DIR>", "the log, or a copy of it; default DATA-DIR/audit");
  addStoreFlags(verify, "DATA-DIR/master.key").addHelpText(
    "after",
    `
Finds every record that was edited, dropped, added or moved, and a cut at the end of the log up to its last anchor.
A server may run meanwhile. Example:
  slots audit verify --data-dir /var/lib/slots --master-key-file /etc/slots/master.key`,
  );
  offline<[], VerifyFlags>(verify, async (out, _, flags) => {
    const { verifyAuditFiles } = await import("../offline/verify-audit.ts");
    const { dataDir, auditDir } = flags;
    const report = await verifyAuditFiles({ dataDir, auditDir, ...keySource(flags) });
    const { ok, chains, findings, findingCount } = report;
    out.result(report, () => {
      for (const { file, line, kind, message, chain } of findings) {
        out.line(`${file ?? `chain ${chain}`}${line === undefined ? "" : `:${line}`}: ${kind}: ${message}`);
      }
      if (findingCount > findings.length) out.line(`and ${findingCount - findings.length} more`);
      const records = chains.reduce((sum, chain) => sum + chain.records, 0);
      if (ok) out.line(`ok: ${count(records, "record")} in ${count(chains.length, "chain")}`);
    });
    if (!ok) throw new CliError(EXIT.dataLoss, "the audit log is not as it was written");
  });
}
