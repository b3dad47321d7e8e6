import { closeSync, existsSync, openSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, text, Wire } from "../support/wire.ts";
import { integrityOf } from "./support/integrity.ts";
import { needs } from "./support/needs.ts";
import { afterwards, disk } from "./support/scratch.ts";

/** Takes every byte that is free, down to the last. */
function fill(ballast: string): void {
  const file = openSync(ballast, "a");
  try {
    for (let size = 1 << 20; size > 0; ) {
      try {
        writeSync(file, Buffer.alloc(size));
      } catch {
        size >>= 1;
      }
    }
  } finally {
    closeSync(file);
  }
}

test("a full disk refuses writes, serves reads and watches, and all works again once there is room (D4)", async (context) => {
  if (!needs("tmpfs")) {
    context.skip();
    return;
  }
  const room = disk("32m");
  const dataDir = join(room, "data");
  const server = await ServerProcess.start({ dataDir });
  afterwards(() => server.dispose());
  const wire = new Wire(server.address, server.adminToken);
  afterwards(() => wire.close());
  await wire.put("full/a", 0n, "before");
  await waitFor("the audit log's reserve", () => existsSync(join(dataDir, "audit/reserve-00")));
  const watch = wire.watch("full/a");
  expect(text(((await watch.take()).event.value as { value: Uint8Array }).value)).toBe("before");

  const ballast = join(room, "ballast");
  fill(ballast);
  const big = Buffer.alloc(60_000, "x");
  const refused = await waitFor("a write to be refused", async () => {
    fill(ballast);
    try {
      await wire.put("full/b", 0n, Buffer.concat([big, Buffer.from(`${Date.now()}`)]), { overwrite: true });
      return undefined;
    } catch (error) {
      return error as Awaited<ReturnType<typeof failure>>;
    }
  });
  expect([refused.code, refused.reason]).toEqual(["RESOURCE_EXHAUSTED", "DISK_FULL"]);
  // Refused again and again, and never half there.
  for (let slot = 1n; slot <= 5n; slot += 1n) {
    expect((await failure(wire.put("full/c", slot, big))).reason).toBe("DISK_FULL");
  }
  expect((await failure(wire.get("full/c"))).reason).toBe("SECRET_NOT_FOUND");
  for (let reads = 0; reads < 20; reads += 1) expect(text((await wire.get("full/a")).value)).toBe("before");
  // A watch that began before goes on, and one begins now.
  expect((await watch.take()).event.case).toBe("progress");
  const late = wire.watch("full/a");
  expect((await late.take()).event.case).toBe("current");

  unlinkSync(ballast);
  await waitFor("a write to succeed again", () =>
    wire.put("full/a", 1n, "after").then(
      () => true,
      () => false,
    ),
  );
  for (const stream of [watch, late]) {
    await waitFor("a watcher to be told", async () => {
      const { event } = await stream.take();
      return event.case === "current" && text(event.value.value) === "after";
    });
  }
  await wire.put("full/c", 0n, big);
  expect(server.child.exitCode).toBeNull();
  await server.kill();
  expect(integrityOf(dataDir)).toBe("ok");
});
