import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { generateToken } from "../../src/crypto/tokens.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, Wire } from "../support/wire.ts";
import { auditLines, type Line, verify } from "./audit-records.ts";
import { applyPolicies, grant, revokeToken } from "./rights.ts";

/** S4 through a whole server: whatever was answered has its record in the files by then. */
const NAME = "team/db";
const { method } = SecretService;
let server: ServerProcess;
let admin: Wire;
let reader: Wire;
let tokenId = "";

beforeAll(async () => {
  server = await ServerProcess.start();
  admin = new Wire(server.address, server.adminToken);
  await admin.put(NAME, 0n, "zero");
  await applyPolicies(admin, [grant("team", "token:team", ["read", "watch", "list"], ["team/*"])]);
  const made = await admin.createToken("team");
  tokenId = made.tokenId;
  reader = new Wire(server.address, made.token);
});

afterAll(async () => {
  admin?.close();
  reader?.close();
  await server?.dispose();
});

const lines = () => auditLines(join(server.dataDir, "audit"));

/** What the log has gained by an action; read at once when it is answered, with no time to catch up. */
async function gained(act: () => Promise<unknown>): Promise<Line[]> {
  const before = lines().length;
  await act();
  return lines().slice(before);
}

test("the first start's token is in the log", () => {
  expect(lines().find(({ rpc }) => rpc === "FirstStart")).toMatchObject({
    ...{ kind: "completed", revision: "1", principal: "token:admin" },
  });
});

test("each disclosure has a record that says who, how proven, from where, and what", async () => {
  const [record, ...rest] = await gained(() => reader.get(NAME));
  expect(rest).toEqual([]);
  expect(record).toMatchObject({
    ...{ kind: "call", principal: "token:team", method: "token", proof: tokenId, rpc: "GetSecret" },
    ...{ secret: NAME, slot: "0", code: "OK" },
  });
  expect(record?.peer).toMatch(/^127\.0\.0\.1:\d+$/);

  const calls: [() => Promise<unknown>, object][] = [
    [() => reader.at(NAME, 7n), { rpc: "GetEffectiveAt", secret: NAME, slot: "0", code: "OK" }],
    [() => reader.call(method.listSecrets, {}), { rpc: "ListSecrets", code: "OK" }],
    [() => reader.call(method.describeSecret, { name: NAME }), { rpc: "DescribeSecret", secret: NAME }],
    [() => reader.call(method.listSlots, { name: NAME }), { rpc: "ListSlots", secret: NAME, code: "OK" }],
    [() => admin.call(AdminService.method.listTokens, {}), { rpc: "ListTokens", code: "OK" }],
    [() => admin.call(AdminService.method.listPolicies, {}), { rpc: "ListPolicies", code: "OK" }],
    [() => admin.call(AdminService.method.listMasterKeys, {}), { rpc: "ListMasterKeys", code: "OK" }],
    [() => admin.stream(AdminService.method.createBackup, {}).take(), { rpc: "CreateBackup", code: "OK" }],
    [() => admin.stream(AdminService.method.searchAudit, {}).take(), { rpc: "SearchAudit", code: "OK" }],
  ];
  for (const [call, wanted] of calls) expect(await gained(call)).toMatchObject([wanted]);
});

test("each change has a record with its revision, and what changed nothing says so", async () => {
  const name = "team/changes";
  const at = { name, slot: 3n };
  const change = async (act: () => Promise<{ revision: bigint }>, wanted: Partial<Line>) => {
    let revision = 0n;
    const [record, ...rest] = await gained(async () => {
      ({ revision } = await act());
    });
    expect(rest).toEqual([]);
    const changed = wanted.changed ?? true;
    expect(record).toMatchObject({ code: "OK", revision: String(revision), ...wanted, changed });
  };
  await change(() => admin.put(name, 3n, "v", { requestId: "r1" }), {
    ...{ rpc: "PutSlot", secret: name, slot: "3", request_id: "r1" },
  });
  await change(() => admin.put(name, 3n, "v", { requestId: "r1" }), { rpc: "PutSlot", changed: false });
  await change(() => admin.put(name, 3n, "v"), { rpc: "PutSlot", slot: "3", changed: false });
  await change(() => admin.call(method.disableSlot, at), { rpc: "DisableSlot", slot: "3" });
  await change(() => admin.call(method.enableSlot, at), { rpc: "EnableSlot", slot: "3" });
  await change(() => admin.call(method.destroySlot, at), { rpc: "DestroySlot", slot: "3" });
  const update = { name, comment: "c", updateMask: { paths: ["comment"] } };
  await change(() => admin.call(method.updateSecret, update), { rpc: "UpdateSecret", secret: name });
  await change(() => admin.call(method.deleteSecret, { name }), { rpc: "DeleteSecret", secret: name });

  let made = { tokenId: "" };
  const created = await gained(async () => {
    made = await admin.createToken("other");
  });
  expect(created).toMatchObject([{ rpc: "CreateToken", subject: made.tokenId, changed: true }]);
  const revoked = await gained(() => revokeToken(admin, made.tokenId));
  expect(revoked).toMatchObject([{ rpc: "RevokeToken", subject: made.tokenId, changed: true }]);
});

test("each refusal has a record, of unary calls and of watches", async () => {
  const calls: [() => Promise<unknown>, object][] = [
    [() => reader.get("other"), { rpc: "GetSecret", secret: "other", code: "PERMISSION_DENIED" }],
    [() => reader.get("team/none"), { rpc: "GetSecret", secret: "team/none", code: "NOT_FOUND" }],
    [() => reader.put(NAME, 0n, "x"), { rpc: "PutSlot", secret: NAME, slot: "0", code: "PERMISSION_DENIED" }],
    [() => admin.put(NAME, 0n, "x"), { rpc: "PutSlot", code: "ALREADY_EXISTS", reason: "SLOT_EXISTS" }],
    [() => reader.watch("other").take(), { rpc: "WatchSecret", secret: "other", code: "PERMISSION_DENIED" }],
    [() => reader.watch("team/none").take(), { rpc: "WatchSecret", secret: "team/none", code: "NOT_FOUND" }],
    [
      () => reader.watchSlots([NAME, "other"]).take(),
      { rpc: "WatchSlots", secret: "other", code: "PERMISSION_DENIED" },
    ],
    [() => reader.createToken("x"), { rpc: "CreateToken", code: "PERMISSION_DENIED" }],
    [
      () => reader.stream(AdminService.method.searchAudit, {}).take(),
      { rpc: "SearchAudit", code: "PERMISSION_DENIED" },
    ],
  ];
  for (const [call, wanted] of calls) {
    expect(await gained(() => failure(call()))).toMatchObject([wanted]);
  }
});

test("each delivered event of a watch has a record before it leaves, and so has the watch's end", async () => {
  const made = await admin.createToken("team");
  const of = new Wire(server.address, made.token);
  const delivered = (revision: bigint, rpc: string) =>
    lines().filter(
      (line) => line.kind === "delivery" && line.revision === String(revision) && line.rpc === rpc,
    );
  const single = of.watch(NAME);
  const slots = of.watchSlots([NAME]);
  for (let slot = 10n; slot < 20n; slot++) {
    const { revision } = await admin.put(NAME, slot, `value ${slot}`);
    while ((await single.take()).revision !== revision);
    expect(delivered(revision, "WatchSecret")).toMatchObject([
      { event: "current", secret: NAME, slot: String(slot), streams: [{ proof: made.tokenId }] },
    ]);
    for (;;) {
      const told = await slots.take();
      if (told.event.case === "slot" && told.revision === revision) break;
    }
    expect(delivered(revision, "WatchSlots")).toMatchObject([{ event: "slot", slot: String(slot) }]);
  }
  const ends = await gained(async () => {
    await revokeToken(admin, made.tokenId);
    for (const stream of [single, slots]) {
      const last = await waitFor("the stream to end", () => stream.take().catch((error: unknown) => error));
      if (!(last instanceof Error)) await expect(stream.take()).rejects.toThrow();
    }
  });
  expect(
    ends
      .filter(({ code }) => code === "UNAUTHENTICATED")
      .map(({ rpc }) => rpc)
      .sort(),
  ).toEqual([...["WatchSecret", "WatchSlots"]]);
  of.close();
});

test("strangers are counted by address, in few records however many they are", async () => {
  const stranger = new Wire(server.address, generateToken());
  const from = lines().length;
  await Promise.all(Array.from({ length: 300 }, () => failure(stranger.get(NAME))));
  const refusals = () =>
    lines()
      .slice(from)
      .filter(({ kind }) => kind === "refusals");
  const counted = () => refusals().reduce((sum, { count }) => sum + (count ?? 0), 0);
  await waitFor("all to be counted", () => counted() === 300);
  expect(refusals().every(({ address }) => address === "127.0.0.1")).toBe(true);
  expect(refusals().length).toBeLessThan(50);
  stranger.close();
});

test("verification of what a server wrote finds nothing, while it runs and when it has stopped", async () => {
  expect(await verify(server.dataDir)).toMatchObject({ ok: true, findings: [] });
  await server.stop();
  const { ok, findings, chains } = await verify(server.dataDir);
  expect({ ok, findings }).toEqual({ ok: true, findings: [] });
  expect(chains).toMatchObject([{ closed: true }]);
});
