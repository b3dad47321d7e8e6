import type { Command } from "commander";
import type { Secrets } from "../../../clients/typescript/src/index.ts";
import { collect } from "../arguments.ts";
import { usageError } from "../exit-codes.ts";
import { online, seconds } from "../session.ts";
import { LossNotice } from "./loss.ts";
import { type Plan, type PlanFlags, parsePlan } from "./plan.ts";
import { SecretFiles } from "./secret-file.ts";
import { Supervisor } from "./supervisor.ts";
import { changedNames, environmentOf, newestValues, type Values } from "./values.ts";

interface ExecFlags extends PlanFlags {
  readonly grace: string;
  readonly wait: string;
  readonly keepFiles?: boolean;
}

export function addExec(program: Command): void {
  const command = program
    .command("exec <CMD...>")
    .description("Run a command with secrets in its environment or in files, and keep it up to date.")
    .option(
      "--secret <ENV=NAME>",
      "put the current value into an environment variable; may be repeated",
      collect,
    )
    .option("--file <PATH=NAME>", "write the current value into a file, mode 0600; may be repeated", collect)
    .option(
      "--on-change <WHAT>",
      "when a value changed: restart, signal:NAME (such as signal:HUP), or none; files are rewritten always (default restart)",
    )
    .option("--keep-files", "leave the files when the command has ended; they are removed otherwise")
    .option("--grace <SECONDS>", "how long a command may take to end before it is killed for a restart", "10")
    .option("--wait <SECONDS>", "how long to wait for all values at the start", "10")
    .passThroughOptions()
    .addHelpText(
      "after",
      `
Signals are passed on, and the status is the command's own: 128 + N when signal N ended it, 127 when there is no such
command. Files are removed at the end; put them on a file system in memory, for nobody removes them after a SIGKILL. When
the server, the token or the grant is lost, the command keeps running with the values it has.
Examples:
  slots exec --secret DB_PASSWORD=app/db -- ./server --port 8080
  slots exec --file /run/app/tls.key=app/tls --on-change signal:HUP -- nginx -g 'daemon off;'`,
    );
  online<[[string, ...string[]]], ExecFlags>(command, async ({ client, out }, [cmd], flags) => {
    const plan = parsePlan(flags);
    if (plan.files.some(({ path }) => path === "")) throw usageError("--file needs a path before the '='");
    const graceMs = seconds(flags.grace, "--grace");
    const note = (text: string) => out.note(`slots: ${text}`);
    let secrets: Secrets | undefined;
    const loss = new LossNotice(note, () => secrets?.ageMs());
    secrets = await client.open(plan.names, {
      view: "CURRENT",
      waitMs: seconds(flags.wait, "--wait"),
      onDisconnect: (error) => {
        if (secrets !== undefined) loss.lost(error);
      },
    });
    const files = new SecretFiles();
    try {
      process.exitCode = await superviseWith(secrets, plan, files, new Supervisor(cmd, graceMs, note), note);
    } finally {
      if (flags.keepFiles !== true) await files.remove();
      await secrets.close();
    }
  });
}

/** Starts the command once files are in place, and hands each change over; one at a time, the newest values win. */
async function superviseWith(
  secrets: Secrets,
  plan: Plan,
  written: SecretFiles,
  supervisor: Supervisor,
  note: (text: string) => void,
): Promise<number> {
  let inFiles: Values = newestValues(secrets, plan.names);
  // What the running command was started with, or was last told of.
  let inCommand: Values = inFiles;
  for (const { path, name } of plan.files) await written.write(path, valueFor(inFiles, name));
  let environment = environmentOf(plan, inFiles);

  const handOver = async () => {
    const values = newestValues(secrets, plan.names, inFiles);
    const rewritten = changedNames(inFiles, values);
    for (const { path, name } of plan.files) {
      if (rewritten.includes(name)) await written.write(path, valueFor(values, name));
    }
    inFiles = values;
    if (changedNames(inCommand, values).length === 0) return;
    if (plan.onChange.kind !== "none") environment = environmentOf(plan, values);
    inCommand = values;
    if (plan.onChange.kind === "signal") supervisor.signal(plan.onChange.signal);
    if (plan.onChange.kind === "restart") supervisor.restart();
  };

  let turn = Promise.resolve();
  const endings = plan.names.map((name) =>
    secrets.handle(name).onChange(({ current, currentChanged }) => {
      if (!currentChanged) return;
      if (current.absent !== undefined) note(`'${name}' has no value any more; the last one stays in use`);
      turn = turn.then(handOver).catch((error: unknown) => {
        note(`a change could not be handed over: ${error instanceof Error ? error.message : String(error)}`);
      });
    }),
  );
  // A change between the first read and the subscription is not lost.
  turn = turn.then(handOver);
  try {
    return await supervisor.run(() => environment);
  } finally {
    for (const end of endings) end();
    await turn.catch(() => {});
  }
}

function valueFor(values: Values, name: string) {
  const value = values.get(name);
  if (value === undefined) throw new Error(`'${name}' has no value`);
  return value;
}
