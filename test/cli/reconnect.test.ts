import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { NODE, ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";
import { PATIENT, Slots } from "./slots.ts";

it(
  "watch and exec go on over a restart of the server, and have the value that was put meanwhile",
  PATIENT,
  async () => {
    // A socket of its own: a port that is free for a moment could be taken by somebody else.
    const folder = mkdtempSync(join(tmpdir(), "slots-socket-"));
    const listen = `unix:${folder}/socket`;
    let server = await ServerProcess.start({ listen });
    const { dataDir } = server;
    const slots = new Slots(server);
    const put = async (slot: bigint, value: string) => {
      const wire = new Wire(server.address, server.adminToken);
      await wire.put("app/db", slot, value);
      wire.close();
    };
    try {
      await put(0n, "first");
      writeFileSync(slots.path("wait.cjs"), "console.log('up'); setTimeout(() => {}, 300_000);");
      const watch = slots.start(["watch", "app/db"]);
      const exec = slots.start([
        "exec",
        "--file",
        "value=app/db",
        "--on-change",
        "none",
        "--",
        NODE,
        slots.path("wait.cjs"),
      ]);
      await waitFor("both to have the value", () => watch.stdout() !== "" && exec.stdout() !== "");
      await server.kill();
      await waitFor("the notice of exec", () => exec.stderr().includes("keeps running"));
      await waitFor("the notice of watch", () => watch.stderr().includes("trying again"));
      // At another address first, so that the value is there before they are back.
      server = await ServerProcess.start({ dataDir });
      await put(1n, "second");
      await server.stop();
      server = await ServerProcess.start({ dataDir, listen });
      await waitFor("the line of watch", () => watch.stdout().includes("slot 1"));
      await waitFor("the file of exec", () => readFileSync(slots.path("value"), "utf8") === "second");
      expect(watch.stdout().trim().split("\n")).toHaveLength(2);
      expect(watch.stderr()).toContain("connected again");
      expect(exec.child.exitCode).toBeNull();
      exec.child.kill("SIGTERM");
      expect((await exec.ended).status).toBe(128 + 15);
    } finally {
      slots.dispose();
      await server.dispose();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
