import { openSqliteStorage } from "../../src/storage/sqlite/open.ts";
import { committed, name, put } from "../contracts/storage-commits.ts";

export type ChildOrder =
  | { readonly kind: "put"; readonly name: string; readonly slot: bigint }
  | { readonly kind: "current"; readonly name: string }
  | { readonly kind: "put-forever"; readonly name: string }
  | { readonly kind: "close" };

export type ChildAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly at: number }
  | { readonly kind: "current"; readonly slot: bigint | undefined }
  | { readonly kind: "forever"; readonly slot: bigint };

const storage = await openSqliteStorage({ dataDir: process.argv[2]!, busyTimeoutMs: 20_000 });

function answer(message: ChildAnswer): void {
  process.send?.(message);
}

process.on("message", async (order: ChildOrder) => {
  switch (order.kind) {
    case "put":
      await committed(storage, put(order.name, order.slot));
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
    default:
      await storage.close();
      process.disconnect();
  }
});
process.on("disconnect", () => process.exit());
answer({ kind: "ready" });
