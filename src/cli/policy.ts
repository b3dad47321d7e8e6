import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { ApplyPoliciesResponse } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { CliError, EXIT } from "./exit-codes.ts";
import { exitOf } from "./failure.ts";
import type { Output } from "./output.ts";
import {
  canonical,
  entryOf,
  formatPolicies,
  formatPolicy,
  messageOf,
  type ParsedPolicies,
  type PolicyEntry,
  parsePolicyText,
  pathOfField,
} from "./policy-text.ts";
import { online, type Session } from "./session.ts";
import { diffLines } from "./text-diff.ts";

interface FileFlags {
  readonly file: string;
}

export function addPolicies(program: Command): void {
  const group = program.command("policy").description("Say who may do what: policies as one YAML file.");

  const show = group.command("show [POLICY]").description("Show all policies, or one.");
  online<[string | undefined], object>(show, async ({ client, out }, [name]) => {
    const { policies, etag } = await client.admin.listPolicies({});
    const entries = policies.map(entryOf).filter((entry) => name === undefined || entry.name === name);
    if (name !== undefined && entries.length === 0) {
      throw new CliError(EXIT.notFound, `there is no policy '${name}'; 'slots policy show' lists them`);
    }
    out.result({ policies: entries, etag }, () => {
      if (entries.length === 0) out.note("no policies: only token:admin may do anything");
      for (const entry of entries) process.stdout.write(formatPolicy(entry));
    });
  });

  const exported = group
    .command("export")
    .description("Print all policies as a file for 'apply'; applied again it changes nothing.");
  online<[], object>(exported, async ({ client, out }) => {
    const { policies, etag } = await client.admin.listPolicies({});
    out.result({ policies: policies.map(entryOf), etag }, () =>
      process.stdout.write(formatPolicies(policies)),
    );
  });

  const diff = group
    .command("diff")
    .description("Show what applying a file would change; changes nothing.")
    .requiredOption("-f, --file <FILE>", "YAML file of all policies; - for standard input")
    .option("--exit-code", "end with 1 when something would change");
  online<[], FileFlags & { readonly exitCode?: boolean }>(diff, async (session, _, flags) => {
    const changes = await submit(session, flags.file, true);
    if (flags.exitCode && changed(changes)) process.exitCode = EXIT.general;
  });

  const apply = group
    .command("apply")
    .description(
      "Make the policies of a file the whole set, in one commit: a policy that is not in it is removed.",
    )
    .requiredOption("-f, --file <FILE>", "YAML file of all policies; - for standard input")
    .option("--dry-run", "only check the file and show what would change")
    .addHelpText(
      "after",
      `
A file:
  policies:
    - name: payments
      comment: what the payment service reads
      principals: [token:payments, spiffe://prod/pay]
      groups: [ops]
      rules:
        - actions: [read, watch]
          names: [payments/*, shared/db]
Actions: read, watch, list, write, manage, admin; none implies another. Names and principals are exact, or a
prefix ending in *. Nothing else is allowed to anybody but token:admin.
Example:
  slots policy export > policies.yaml && $EDITOR policies.yaml && slots policy apply -f policies.yaml`,
    );
  online<[], FileFlags & { readonly dryRun?: boolean }>(apply, async (session, _, flags) => {
    await submit(session, flags.file, flags.dryRun ?? false);
  });
}

/** Shows what changes against the policies of now, and applies it to those very ones or to none. */
async function submit(
  { client, out }: Session,
  file: string,
  dryRun: boolean,
): Promise<ApplyPoliciesResponse> {
  const text = file === "-" ? await readAll() : await readFile(file, "utf8");
  const wanted = parsePolicyText(text, file === "-" ? "standard input" : file);
  const today = await client.admin.listPolicies({});
  const policies = wanted.policies.map(messageOf);
  const changes = await client.admin
    .applyPolicies({ policies, etag: today.etag, dryRun })
    .catch((error: unknown) => Promise.reject(withPlaces(error, wanted)));
  const { added, removed, warnings, etag, revision } = changes;
  out.result({ added, changed: changes.changed, removed, warnings, etag, revision, dryRun }, () => {
    showChanges(out, today.policies.map(entryOf), wanted.policies, changes);
    if (!changed(changes)) out.line("nothing changes");
    else if (!dryRun) out.line(`applied, revision ${revision}`);
    for (const warning of warnings) out.note(`warning: ${warning}`);
  });
  return changes;
}

function changed({ added, changed, removed }: ApplyPoliciesResponse): boolean {
  return added.length + changed.length + removed.length > 0;
}

function showChanges(
  out: Output,
  before: readonly PolicyEntry[],
  after: readonly PolicyEntry[],
  { added, changed, removed }: ApplyPoliciesResponse,
): void {
  const linesOf = (entries: readonly PolicyEntry[], name: string) => {
    const entry = entries.find((each) => each.name === name);
    return entry === undefined ? [] : formatPolicy(canonical(entry)).trimEnd().split("\n");
  };
  for (const name of [...added, ...changed, ...removed].sort()) {
    for (const [mark, line] of diffLines(linesOf(before, name), linesOf(after, name))) {
      const style = mark === "+" ? "green" : mark === "-" ? "red" : "reset";
      out.line(out.paint(style, `${mark} ${line}`));
    }
  }
}

/** What the server refuses, by the line of the file that it is in. */
function withPlaces(error: unknown, { place }: ParsedPolicies): unknown {
  const violations =
    (error as { fieldViolations?: { field: string; description: string }[] }).fieldViolations ?? [];
  const placed = violations.filter(({ field }) => field.startsWith("policies["));
  if (placed.length === 0) return error;
  const lines = placed.map(
    ({ field, description }) => `${place(pathOfField(field))}: ${field}: ${description}`,
  );
  return new CliError(exitOf(error), lines.join("\n"));
}

async function readAll(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
