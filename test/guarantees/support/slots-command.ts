import { spawn } from "node:child_process";
import { NODE, SLOTS } from "../../support/server-process.ts";

export interface CommandExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs `slots` to its end. `under`: a command that runs it, such as `strace`. */
export async function runSlots(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  under: readonly string[] = [],
): Promise<CommandExit> {
  const [command = NODE, ...rest] = [...under, NODE, SLOTS, ...args];
  const child = spawn(command, rest, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once("close", (...exit) => resolve(exit)),
  );
  return { code, signal, output, errors };
}

/** What a command prints as JSON; fails with what it said when it fails. */
export async function slotsJson(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  under: readonly string[] = [],
): Promise<Record<string, unknown>> {
  const { code, signal, output, errors } = await runSlots([...args, "--output", "json"], env, under);
  if (code !== 0) throw new Error(`slots ${args.join(" ")} ended with ${code ?? signal}: ${errors}`);
  return JSON.parse(output);
}
