import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AuditLog, AuditRecord } from "../../src/audit/audit-log.ts";
import type { AuditFilter } from "../../src/audit/search.ts";
import { call, found, PAY, SHOP } from "../audit/records.ts";

/** A log under test, and the means to make its writes fail. */
export interface AuditHarness {
  readonly log: AuditLog;
  breakWrites(): void;
  repairWrites(): void;
  dispose(): Promise<void>;
}

/** What every audit log does. */
export function auditContract(name: string, open: () => Promise<AuditHarness>): void {
  describe(`${name} keeps the contract of an audit log`, () => {
    let harness: AuditHarness;
    let log: AuditLog;

    beforeEach(async () => {
      harness = await open();
      log = harness.log;
    });

    afterEach(async () => {
      harness.repairWrites();
      await log.close();
      await harness.dispose();
    });

    test("S4: a record is there when its append resolves", async () => {
      await log.append(call({ revision: 2n ** 63n - 1n, requestId: "r1", reason: undefined }));
      const [record] = await found(log);
      expect(record?.fields).toMatchObject({
        kind: "call",
        principal: "token:pay",
        method: "token",
        proof: "tk_0123456789ab",
        peer: "10.0.0.7:51234",
        rpc: "GetSecret",
        secret: "prod/db",
        slot: "5",
        revision: "9223372036854775807",
        code: "OK",
        request_id: "r1",
      });
      expect(JSON.parse(record!.json)).toEqual(record!.fields);
    });

    test("records of one turn share a promise and keep their order", async () => {
      const promises = Array.from({ length: 100 }, (_, index) =>
        log.append(call({ requestId: `r${index}` })),
      );
      expect(new Set(promises).size).toBe(1);
      await promises[0];
      const ids = (await found(log)).map(({ fields }) => fields.request_id);
      expect(ids).toEqual(Array.from({ length: 100 }, (_, index) => `r${index}`));
    });

    test("one record of a delivery lists its streams, and is found by each of them", async () => {
      const streams = Array.from({ length: 600 }, (_, index) => ({ ...PAY, principal: `token:w${index}` }));
      await log.append({
        kind: "delivery",
        rpc: "WatchSecret",
        event: "current",
        secret: "a",
        slot: 0n,
        revision: 9n,
        streams,
      });
      const records = await found(log);
      expect(records.flatMap(({ fields }) => fields.streams)).toHaveLength(600);
      for (const index of [0, 255, 256, 599]) {
        expect(await found(log, { principal: `token:w${index}` })).toHaveLength(1);
      }
      expect(await found(log, { principal: "token:w600" })).toHaveLength(0);
    });

    test("refusals and completed changes have their own shape", async () => {
      await log.append({ kind: "refusals", address: "10.1.1.1", count: 7, code: "UNAUTHENTICATED" });
      await log.append({ kind: "refusals", address: undefined, count: 9, code: "UNAUTHENTICATED" });
      await log.append({
        ...{ kind: "completed", revision: 12n, changeTime: 1_700_000_000_000, change: "slot-put" },
        ...{ principal: "token:pay", rpc: "PutSlot", secret: "a", slot: 1n },
      });
      const [one, rest, completed] = (await found(log)).map(({ fields }) => fields);
      expect(one).toMatchObject({ kind: "refusals", address: "10.1.1.1", count: 7, code: "UNAUTHENTICATED" });
      expect(rest).not.toHaveProperty("address");
      expect(completed).toMatchObject({
        kind: "completed",
        revision: "12",
        change_time: "2023-11-14T22:13:20.000Z",
      });
    });

    test("search filters by secret, principal, slot, time and change, and limits to the newest", async () => {
      const before = Date.now();
      const records: AuditRecord[] = [
        call({ secret: "a", slot: 1n, revision: 1n, changed: true, rpc: "PutSlot" }),
        call({ secret: "a", slot: 1n, revision: 1n }),
        call({ secret: "a", slot: 2n, revision: 2n, changed: true, rpc: "PutSlot", caller: SHOP }),
        call({
          secret: "a/b",
          slot: 12n,
          revision: 3n,
          code: "PERMISSION_DENIED",
          reason: "PERMISSION_DENIED",
        }),
      ];
      for (const record of records) await log.append(record);
      const slots = async (filter: AuditFilter) =>
        (await found(log, filter)).map(({ fields }) => fields.slot);
      expect(await slots({ secret: "a" })).toEqual(["1", "1", "2"]);
      expect(await slots({ secret: "a/b" })).toEqual(["12"]);
      expect(await slots({ principal: SHOP.principal })).toEqual(["2"]);
      expect(await slots({ slot: 1n })).toEqual(["1", "1"]);
      expect(await slots({ slot: 1n, limit: 1 })).toEqual(["1"]);
      expect(await slots({ limit: 2 })).toEqual(["2", "12"]);
      expect(await slots({ limit: 0 })).toHaveLength(4);
      expect(await slots({ start: before })).toHaveLength(4);
      expect(await slots({ start: before + 3_600_000 })).toEqual([]);
      expect(await slots({ end: before })).toEqual([]);
      expect((await found(log, { changesAfter: 0n })).map(({ fields }) => fields.revision)).toEqual([
        "1",
        "2",
      ]);
      expect(await slots({ changesAfter: 1n })).toEqual(["2"]);
    });

    test("follow goes on with new records until it is told to stop", async () => {
      await log.append(call({ requestId: "old 1" }));
      await log.append(call({ requestId: "old 2" }));
      const stop = new AbortController();
      const records = log.search({ limit: 1, follow: true, signal: stop.signal })[Symbol.asyncIterator]();
      expect((await records.next()).value?.fields.request_id).toBe("old 2");
      const pending = records.next();
      await log.append(call({ requestId: "new 1" }));
      expect((await pending).value?.fields.request_id).toBe("new 1");
      await log.append(call({ requestId: "new 2" }));
      expect((await records.next()).value?.fields.request_id).toBe("new 2");
      const last = records.next();
      stop.abort();
      expect((await last).done).toBe(true);
    });

    test("text of any kind comes back as it was, one record a line", async () => {
      const odd = 'line\nbreak\u2028 "quoted" \u0000 end","mac":"x"} ünïcödé \ud83d\ude00';
      await log.append(call({ requestId: odd }));
      await log.append(call({ requestId: "after" }));
      expect((await found(log)).map(({ fields }) => fields.request_id)).toEqual([odd, "after"]);
    });

    test("a log that can't be written refuses, and goes on by itself once it can", async () => {
      await log.append(call({ requestId: "before" }));
      harness.breakWrites();
      for (let round = 0; round < 3; round++) {
        await expect(log.append(call({ requestId: "lost" }))).rejects.toMatchObject({
          code: "UNAVAILABLE",
          reason: "AUDIT_UNAVAILABLE",
        });
        expect(log.state).toBe("unavailable");
      }
      harness.repairWrites();
      await log.append(call({ requestId: "after" }));
      expect(log.state).toBe("ok");
      expect((await found(log)).map(({ fields }) => fields.request_id)).toEqual(["before", "after"]);
    });

    test("a closed log has what was pending, and refuses what comes", async () => {
      const pending = log.append(call({ requestId: "pending" }));
      await log.close();
      await pending;
      expect(await found(log)).toHaveLength(1);
      expect(log.state).toBe("closed");
      await expect(log.append(call())).rejects.toMatchObject({ reason: "AUDIT_UNAVAILABLE" });
      await log.close();
    });
  });
}
