/** Logs records as fast as it can until it is killed; tells its parent of anchors and of records that were answered. */
import { FileAuditLog } from "../../src/audit/file-audit-log.ts";
import { call } from "./records.ts";

const [directory, sync] = process.argv.slice(2) as [string, "write" | "fsync"];
const log = await FileAuditLog.open({
  directory,
  sync,
  storeKey: new Uint8Array(32).fill(9),
  reserveBytes: 0,
  segmentBytes: 100_000,
  anchorIntervalMs: 10,
  anchor: (anchor) =>
    new Promise((resolve) => {
      const { head, records, revision, ...rest } = anchor;
      const message = { ...rest, records: `${records}`, head: Buffer.from(head).toString("hex") };
      process.send?.({ anchor: message }, () => resolve());
    }),
});
for (let turn = 0; ; turn++) {
  const size = 1 + (turn % 40);
  await Promise.all(
    Array.from({ length: size }, (_, at) => log.append(call({ requestId: `${turn}.${at}` }))),
  );
  await new Promise<void>((resolve) => process.send?.({ answered: turn }, () => resolve()));
}
