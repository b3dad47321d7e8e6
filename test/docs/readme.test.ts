import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { PATIENT, type Running, Slots } from "../cli/slots.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";

const README = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");

/** The commands of the README's console block, each with what it prints. */
function transcript(): { command: string; printed: string }[] {
  const [, block = ""] = /^```console\n([\s\S]*?)^```/m.exec(README) ?? [];
  return block
    .split(/^\$ /m)
    .filter((part) => part !== "")
    .map((part) => {
      const [command = "", ...lines] = part.trimEnd().split("\n");
      return { command, printed: lines.join("\n") };
    });
}

it("the README's transcript is what happens, command by command", PATIENT, async () => {
  const server = await ServerProcess.start();
  const slots = new Slots(server);
  try {
    let watch: { run: Running; printed: string } | undefined;
    const commands = transcript();
    expect(commands.length).toBeGreaterThanOrEqual(8);
    for (const { command, printed } of commands) {
      const { input, args } = parse(command);
      if (args[0] === "watch") {
        watch = { run: slots.start(args), printed };
        continue;
      }
      const ran = await slots.run(args, { input });
      expect({ command, printed: ran.text.trimEnd(), stderr: ran.stderr }).toEqual({
        command,
        printed,
        stderr: "",
      });
    }
    if (watch === undefined) throw new Error("the transcript has no watch");
    const { run, printed } = watch;
    const [first = ""] = printed.split("\n");
    await waitFor("the first line of the watch", () => run.stdout().startsWith(`${first}\n`));
    const [, third = ""] = /third terminal says `([^`]+)`/.exec(README) ?? [];
    const { input, args } = parse(third);
    await slots.ok(args, { input });
    await waitFor("the rest of the watch", () => run.stdout() === `${printed}\n`);
  } finally {
    slots.dispose();
    await server.dispose();
  }
});

/** `printf VALUE | npx slots ARGS` or `npx slots ARGS`. */
function parse(command: string): { input: string; args: string[] } {
  const [, input = "", args = ""] = /^(?:printf (\S+) \| )?npx slots (.+)$/.exec(command) ?? [];
  return { input, args: args.split(" ") };
}
