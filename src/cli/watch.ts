import type { Command } from "commander";
import type { WatchEvent } from "../../clients/typescript/src/index.ts";
import { parseNumber } from "./arguments.ts";
import { count, type Output, valueFields, valueOnOneLine } from "./output.ts";
import { online } from "./session.ts";

interface WatchFlags {
  readonly showValue?: boolean;
  readonly allowMissing?: boolean;
  readonly count?: string;
}

export function addWatch(program: Command): void {
  const command = program
    .command("watch <NAME>")
    .description("Print one line for the current value and one for each change, until it is interrupted.")
    .option("--show-value", "print the values too; without it, only slot, revision and size")
    .option("--allow-missing", "wait for a secret that has no value yet instead of failing")
    .option("--count <N>", "end after N lines")
    .addHelpText(
      "after",
      `
A connection that is lost is taken up where it was; intermediate values may be skipped, the last one never is.
Examples:
  slots watch app/db
  slots watch app/db --output json | while read -r change; do ...; done`,
    );
  online<[string], WatchFlags>(command, async ({ client, out }, [name], flags) => {
    let left = flags.count === undefined ? undefined : parseNumber(flags.count, "--count");
    let cut = false;
    const events = client.watchSecret(name, {
      allowMissing: flags.allowMissing ?? false,
      onDisconnect: (error) => {
        if (!cut)
          out.note(`slots: the connection was lost (${error?.message ?? "the stream ended"}); trying again`);
        cut = true;
      },
      onConnect: () => {
        if (cut) out.note("slots: connected again");
        cut = false;
      },
    });
    for await (const event of events) {
      show(out, name, event, flags.showValue ?? false);
      if (left !== undefined && --left <= 0n) break;
    }
  });
}

function show(out: Output, name: string, event: WatchEvent, withValue: boolean): void {
  if (event.type !== "current") {
    out.result({ name, ...event }, () => {
      if (event.type === "history_reset") {
        out.line("history reset: what was shown so far is of another history of the store");
      } else {
        const why = event.reason === "NOT_EXISTING" ? "no such secret" : "no slot is enabled";
        out.line(`absent (${why})  revision ${event.revision}`);
      }
    });
    return;
  }
  const { value, ...version } = event.version;
  const size = value.byteLength;
  out.result({ type: "current", ...version, size, ...(withValue ? valueFields(value) : {}) }, () => {
    const shown = withValue ? `  ${valueOnOneLine(value)}` : "";
    out.line(`slot ${version.slot}  revision ${version.revision}  ${count(size, "byte")}${shown}`);
  });
}
