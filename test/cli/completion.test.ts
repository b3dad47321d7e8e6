import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { PATIENT, Slots } from "./slots.ts";

describe("slots completion", PATIENT, () => {
  const slots = new Slots();
  afterAll(() => slots.dispose());

  /** What bash offers for a line that ends where the cursor is. */
  function offered(line: string): string[] {
    const words = line.split(" ");
    const script = `source ./slots.bash
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
      _slots; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script], { cwd: slots.folder, encoding: "utf8" }).trim().split("\n");
  }

  it("completes commands, subcommands and flags in bash", async () => {
    writeFileSync(slots.path("slots.bash"), await slots.ok(["completion", "bash"]));
    expect(offered("slots de")).toEqual(
      ["describe", "destroy", "delete"].filter((word) => word.startsWith("de")),
    );
    expect(offered("slots to")).toEqual(["token"]);
    expect(offered("slots token cr")).toEqual(["create"]);
    expect(offered("slots put app/db --ov")).toEqual(["--overwrite"]);
    expect(offered("slots --address 127.0.0.1:1 policy ap")).toEqual(["apply"]);
    expect(offered("slots get --output j")).toEqual(["json"]);
    expect(offered("slots serve --data-d")).toEqual(["--data-dir"]);
  });

  /** What zsh's own functions are given for a line, which they show with their descriptions. */
  function offeredInZsh(line: string): string[] {
    const words = line.split(" ");
    const script = `compdef() {}; _describe() { print -rl -- "\${(@P)4}" }; _arguments() { print -rl -- "$@" }
      source ./slots.zsh; words=(${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${words.length}; _slots`;
    return execFileSync("zsh", ["-f", "-c", script], { cwd: slots.folder, encoding: "utf8" })
      .trim()
      .split("\n");
  }

  const hasZsh = spawnSync("zsh", ["--version"]).status === 0;
  if (!hasZsh) console.warn("!!!!!! SKIPPED: zsh is not installed");
  it.skipIf(!hasZsh)(
    "completes commands, flags and their values in zsh, each with what it does",
    async () => {
      writeFileSync(slots.path("slots.zsh"), await slots.ok(["completion", "zsh"]));
      expect(offeredInZsh("slots to")).toContainEqual(expect.stringMatching(/^token:\w+/));
      expect(offeredInZsh("slots token cr")).toContainEqual(expect.stringMatching(/^create:\w+/));
      expect(offeredInZsh("slots --address 127.0.0.1:1 policy ap")).toContainEqual(
        expect.stringMatching(/^apply:/),
      );
      expect(offeredInZsh("slots put app/db --ov")).toContainEqual(
        expect.stringMatching(/^--overwrite\[\w.*\]$/),
      );
      expect(offeredInZsh("slots get --output ")).toContainEqual(
        expect.stringMatching(/^--output=\[.*\]:value:\(human json\)$/),
      );
    },
  );

  it("gives scripts for zsh and fish with every command in them, and no other shell", async () => {
    const [zsh, fish] = await Promise.all([
      slots.ok(["completion", "zsh"]),
      slots.ok(["completion", "fish"]),
    ]);
    expect(zsh).toMatch(/^#compdef slots\n/);
    for (const word of ["put", "describe", "exec", "restore", "retire"]) {
      expect(zsh).toContain(word);
      expect(fish).toMatch(new RegExp(`^complete -c slots -n '[^']+' -a ${word} -d '[^']*'$`, "m"));
    }
    expect((await slots.run(["completion", "tcsh"])).status).toBe(2);
  });
});
