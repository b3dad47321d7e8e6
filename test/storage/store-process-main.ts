import { openSqliteStorage } from "../../src/storage/sqlite/open.ts";
import { processPipe } from "../../src/storage/sqlite/process-pipe.ts";
import { committed, name, put } from "../contracts/storage-commits.ts";

export type ChildOrder =
  | { readonly kind: "put"; readonly name: string; readonly slot: bigint }
  | { readonly kind: "current"; readonly name: string }
  | { readonly kind: "put-many"; readonly name: string; readonly count: number }
  | { readonly kind: "put-forever"; readonly name: string }
  | { readonly kind: "close" };

export type ChildAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly at: number }
  | { readonly kind: "current"; readonly slot: bigint | undefined }
  | { readonly kind: "forever"; readonly slot: bigint };

const [, , dataDir, writer] = process.argv;
const storage = await openSqliteStorage({
  dataDir: dataDir!,
  busyTimeoutMs: 20_000,
  ...(writer === "remote" && { writer: processPipe(process) }),
});

function answer(message: ChildAnswer): void {
  process.send?.(message);
}

process.on("message", async (order: ChildOrder) => {
  switch (order.kind) {
    case "put":
      await committed(storage, put(order.name, order.slot));
      answer({ kind: "done", at: performance.timeOrigin + performance.now() });
      return;
    case "put-many":
      await Promise.all(
        Array.from({ length: order.count }, (_, number) => committed(storage, put(order.name, number))),
      );
      answer({ kind: "done", at: performance.timeOrigin + performance.now() });
      return;
    case "current":
      answer({ kind: "current", slot: storage.readCurrent(name(order.name)).slot?.slot });
      return;
    case "put-forever": {
      const { lastSlot } = storage.readSecret(name(order.name)).secret ?? { lastSlot: -1n };
      for (let slot = lastSlot + 1n; ; slot += 1n) {
        await committed(storage, put(order.name, slot, { maxSlots: 1_000_000 }));
        answer({ kind: "forever", slot });
      }
    }
    case "close":
      await storage.close();
      process.disconnect();
      return;
    default:
      // The store's own messages share the pipe.
      order satisfies never;
  }
});
process.on("disconnect", () => process.exit());
answer({ kind: "ready" });
