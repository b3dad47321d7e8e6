import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AutoSlot, SecretService, SlotState } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { failure, text, Wire } from "../support/wire.ts";

describe("PutSlot", () => {
  let server: ServerProcess;
  let wire: Wire;
  beforeAll(async () => {
    server = await ServerProcess.start();
    wire = new Wire(server.address, server.adminToken);
  });
  afterAll(async () => {
    wire?.close();
    await server?.dispose();
  });
  const { putSlot, disableSlot, destroySlot } = SecretService.method;
  const bytes = (value: string) => new TextEncoder().encode(value);

  it("answers the revision that wrote the slot, also when the same value is put again", async () => {
    const first = await wire.put("put/same", 3n, "v");
    expect(first).toMatchObject({ slot: 3n, created: true, currentSlot: 3n, state: SlotState.ENABLED });
    await wire.put("put/same", 7n, "w");
    const again = await wire.put("put/same", 3n, "v");
    expect(again).toMatchObject({ slot: 3n, created: false, currentSlot: 7n, revision: first.revision });
  });

  it("lets the same value win over a wrong expected_revision, and leaves a disabled slot disabled", async () => {
    await wire.put("put/order", 0n, "v");
    await wire.call(disableSlot, { name: "put/order", slot: 0n });
    const same = await wire.put("put/order", 0n, "v", { expectedRevision: 999n });
    expect(same.state).toBe(SlotState.DISABLED);
    const other = await failure(wire.put("put/order", 0n, "w", { expectedRevision: 999n }));
    expect([other.code, other.reason]).toEqual(["ABORTED", "REVISION_MISMATCH"]);
    const { revision } = await wire.call(SecretService.method.describeSecret, { name: "put/order" });
    expect(other.metadata.revision).toBe(String(revision));
    const exists = await failure(wire.put("put/order", 0n, "w", { expectedRevision: revision }));
    expect([exists.code, exists.reason]).toEqual(["ALREADY_EXISTS", "SLOT_EXISTS"]);
    expect(exists.metadata.revision).toBeDefined();
  });

  it("takes expected_revision 0 for a secret that must not exist", async () => {
    await wire.put("put/new", 0n, "v", { expectedRevision: 0n });
    const error = await failure(wire.put("put/new", 1n, "w", { expectedRevision: 0n }));
    expect(error.reason).toBe("REVISION_MISMATCH");
  });

  it("overwrites only when asked, and enables the slot again", async () => {
    const name = "put/overwrite";
    await wire.put(name, 0n, "v");
    await wire.call(disableSlot, { name, slot: 0n });
    const over = await wire.put(name, 0n, "w", { overwrite: true });
    expect(over).toMatchObject({ created: false, state: SlotState.ENABLED });
    expect(text((await wire.get(name)).value)).toBe("w");
    await wire.call(destroySlot, { name, slot: 0n });
    const destroyed = await failure(wire.put(name, 0n, "w"));
    expect([destroyed.code, destroyed.reason]).toEqual(["ALREADY_EXISTS", "SLOT_DESTROYED"]);
    await wire.put(name, 0n, "x", { overwrite: true });
    expect(text((await wire.get(name)).value)).toBe("x");
  });

  it("numbers slots one past the largest ever used", async () => {
    const name = "put/next";
    const next = (value: string) =>
      wire
        .call(putSlot, { name, autoSlot: AutoSlot.NEXT_INDEX, value: bytes(value) })
        .then(({ slot }) => slot);
    expect(await next("a")).toBe(0n);
    expect(await next("b")).toBe(1n);
    await wire.call(destroySlot, { name, slot: 1n });
    expect(await next("c")).toBe(2n);
    const many = await Promise.all(Array.from({ length: 64 }, (_, index) => next(`v${index}`)));
    expect(new Set(many)).toEqual(new Set(Array.from({ length: 64 }, (_, index) => BigInt(index + 3))));
    await wire.put(name, 2n ** 63n - 1n, "end");
    const error = await failure(next("d"));
    expect([error.code, error.reason]).toEqual(["FAILED_PRECONDITION", "SLOT_NUMBERS_EXHAUSTED"]);
  });

  it("takes the server's clock for a slot", async () => {
    const before = BigInt(Math.floor(Date.now() / 1000));
    const { slot } = await wire.call(putSlot, { name: "put/now", autoSlot: AutoSlot.NOW, value: bytes("v") });
    expect(slot).toBeGreaterThanOrEqual(before);
    expect(slot).toBeLessThanOrEqual(BigInt(Math.ceil(Date.now() / 1000)));
    expect((await wire.call(SecretService.method.getEffectiveAt, { name: "put/now" })).slot).toBe(slot);
  });

  it("stages a disabled slot", async () => {
    const name = "put/staged";
    await wire.put(name, 0n, "a");
    const staged = await wire.put(name, 1n, "b", { initialState: SlotState.DISABLED });
    expect(staged).toMatchObject({ state: SlotState.DISABLED, currentSlot: 0n });
    await wire.call(SecretService.method.enableSlot, { name, slot: 1n });
    expect(text((await wire.get(name)).value)).toBe("b");
  });

  it("answers a repeated request_id as the first time, and refuses it for other content", async () => {
    const name = "put/request";
    const request = { name, autoSlot: AutoSlot.NEXT_INDEX, value: bytes("a"), requestId: "r-1" };
    const first = await wire.call(putSlot, request);
    await wire.put(name, 5n, "b");
    expect(await wire.call(putSlot, request)).toEqual(first);
    const other = await failure(wire.call(putSlot, { ...request, value: bytes("z") }));
    expect([other.code, other.reason]).toEqual(["INVALID_ARGUMENT", "REQUEST_ID_REUSED"]);
    // A success that changed nothing is kept as well.
    const same = await wire.put(name, 5n, "b", { requestId: "r-2" });
    await wire.put(name, 5n, "c", { overwrite: true });
    expect(await wire.put(name, 5n, "b", { requestId: "r-2" })).toEqual(same);
    expect(text((await wire.get(name)).value)).toBe("c");
  });

  it("holds a secret to its most slots", async () => {
    const small = await ServerProcess.start({ args: ["--max-slots-per-secret", "3"] });
    const caller = new Wire(small.address, small.adminToken);
    for (const slot of [0n, 1n, 2n]) await caller.put("few", slot, "v");
    const error = await failure(caller.put("few", 3n, "v"));
    expect([error.code, error.reason, error.metadata.limit]).toEqual([
      "RESOURCE_EXHAUSTED",
      "TOO_MANY_SLOTS",
      "3",
    ]);
    caller.close();
    await small.dispose();
  });
});
