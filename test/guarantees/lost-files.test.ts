import { spawnSync } from "node:child_process";
import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { failure, text, Wire } from "../support/wire.ts";
import { integrityOf } from "./support/integrity.ts";
import { needs } from "./support/needs.ts";
import { afterwards, disk, folder } from "./support/scratch.ts";

test("a directory that may not be written to is said so, and nothing starts", async (context) => {
  if (!needs("tmpfs")) {
    context.skip();
    return;
  }
  const dataDir = disk("32m");
  const server = await ServerProcess.start({ dataDir });
  await server.stop();
  expect(spawnSync("mount", ["-o", "remount,ro", dataDir]).status).toBe(0);
  const { code, output } = await ServerProcess.startFailing({ dataDir });
  expect(code).toBe(1);
  expect(output).toContain(dataDir);
  expect(output.trim().split("\n")).toHaveLength(1);
  expect(integrityOf(dataDir)).toBe("ok");
});

test.each(["store.db", "store.db-wal"])(
  "%s removed under the server: it ends and says so, and answers no write that would be lost (D5)",
  async (file) => {
    const dataDir = folder();
    const path = join(dataDir, file);
    const first = await ServerProcess.start({ dataDir });
    const before = new Wire(first.address, first.adminToken);
    await before.put("removed/a", 0n, "before");
    before.close();
    expect((await first.stop()).code).toBe(0);

    const server = await ServerProcess.start({ dataDir });
    afterwards(() => server.dispose());
    const wire = new Wire(server.address, server.adminToken);
    afterwards(() => wire.close());
    await wire.put("removed/b", 0n, "in the file that goes");
    unlinkSync(path);
    const error = await failure(wire.put("removed/a", 1n, "lost"));
    expect(error.code).toBe("UNAVAILABLE");
    expect((await server.exited).code).toBe(70);
    expect(server.output).toContain(`in doubt: ${path} was removed or replaced`);

    // What went with the file is gone; nothing else is, and no new store is made in the old one's place.
    if (file === "store.db") {
      const { code, output } = await ServerProcess.startFailing({ dataDir });
      expect([code, output]).toEqual([1, expect.stringContaining(`${path}: is missing`)]);
      return;
    }
    expect(integrityOf(dataDir)).toBe("ok");
    const again = await ServerProcess.start({ dataDir });
    afterwards(() => again.dispose());
    const there = new Wire(again.address, again.adminToken);
    afterwards(() => there.close());
    expect(text((await there.get("removed/a")).value)).toBe("before");
  },
);
