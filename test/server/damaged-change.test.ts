import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { text, Wire } from "../support/wire.ts";

let one: ServerProcess;
let two: ServerProcess;
let left: Wire;
let right: Wire;

beforeAll(async () => {
  one = await ServerProcess.start();
  two = await ServerProcess.start({ dataDir: one.dataDir });
  [left, right] = [new Wire(one.address, one.adminToken), new Wire(two.address, two.adminToken)];
});

afterAll(async () => {
  left?.close();
  right?.close();
  await two?.kill();
  await one?.dispose();
});

test("a change that can't be read ends no process, and hides no newer value (D3, S6, W10)", async () => {
  await left.put("damaged/a", 0n, "old");
  await left.put("damaged/b", 0n, "b");
  expect(text((await left.get("damaged/a")).value)).toBe("old");
  const stream = left.watch("damaged/a");
  await stream.take();

  // The first process sleeps through the commit and its damage.
  one.child.kill("SIGSTOP");
  await right.put("damaged/a", 1n, "new");
  const store = new Database(join(one.dataDir, "store.db"));
  const { changes } = store
    .prepare("UPDATE changes SET row_sum = row_sum + 1 WHERE revision = (SELECT max(revision) FROM changes)")
    .run();
  store.close();
  expect(changes).toBe(1);
  one.child.kill("SIGCONT");

  expect(text((await left.get("damaged/b")).value)).toBe("b");
  expect(text((await left.get("damaged/a")).value)).toBe("new");
  const told = await stream.take();
  expect(told.event.case === "current" && text(told.event.value.value)).toBe("new");
  await left.put("damaged/a", 2n, "newest");
  const last = await stream.take();
  expect(last.event.case === "current" && text(last.event.value.value)).toBe("newest");
  expect(one.child.exitCode).toBeNull();
  stream.cancel();
  // Nobody can tell any more what history it was made in (W8).
  const resumed = left.watch("damaged/a", { resumeToken: told.resumeToken });
  expect((await resumed.take()).event.case).toBe("historyReset");
  expect((await resumed.take()).event.case).toBe("current");
  resumed.cancel();
});
