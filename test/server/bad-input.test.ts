import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  AutoSlot,
  PutSlotRequestSchema,
  SecretService,
  SlotState,
} from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { encodePageToken } from "../../src/core/page-token.ts";
import { ServerProcess } from "../support/server-process.ts";
import { failure, Wire } from "../support/wire.ts";

describe("bad input", () => {
  let server: ServerProcess;
  let wire: Wire;
  beforeAll(async () => {
    server = await ServerProcess.start();
    wire = new Wire(server.address, server.adminToken);
    await wire.put("there", 5n, "v");
  });
  afterAll(async () => {
    wire?.close();
    await server?.dispose();
  });

  const { putSlot, getSecret, updateSecret, listSecrets, listSlots, disableSlot, enableSlot, deleteSecret } =
    SecretService.method;
  const value = new Uint8Array([1]);

  it.each([
    ["empty", ""],
    ["256 characters", "a".repeat(256)],
    ["an empty segment", "a//b"],
    ["a leading slash", "/a"],
    ["a trailing slash", "a/"],
    ["a parent segment", "a/../b"],
    ["a dot segment", "./a"],
    ["a space", "a b"],
    ["NUL", "a\0b"],
    ["a look-alike letter", "раypal"],
  ])("refuses a name with %s, on every RPC that takes one", async (_, name) => {
    const calls = [
      wire.get(name),
      wire.at(name, 0n),
      wire.put(name, 0n, "v"),
      wire.watch(name).take(),
      wire.call(SecretService.method.describeSecret, { name }),
      wire.call(listSlots, { name }),
      wire.call(disableSlot, { name, slot: 0n }),
      wire.call(enableSlot, { name, slot: 0n }),
      wire.call(SecretService.method.destroySlot, { name, slot: 0n }),
      wire.call(deleteSecret, { name }),
      wire.call(updateSecret, { name, updateMask: { paths: ["comment"] } }),
    ];
    for (const error of await Promise.all(calls.map((call) => failure(call)))) {
      expect([error.code, error.reason, error.domain, error.fields]).toEqual([
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "secretslots",
        ["name"],
      ]);
      expect(error.message).toContain("255 bytes");
    }
    const many = await failure(wire.watchSlots(["there", name]).take());
    expect(many.fields).toEqual(["names[1]"]);
  });

  it.each([
    ["slot", { name: "a", slot: 2n ** 63n, value }],
    ["slot", { name: "a", slot: 2n ** 64n - 1n, value }],
    ["slot", { name: "a", slot: 1n, autoSlot: AutoSlot.NOW, value }],
    ["slot", { name: "a", value }],
    ["auto_slot", { name: "a", autoSlot: 9 as AutoSlot, value }],
    ["value", { name: "a", slot: 1n }],
    ["value", { name: "a", slot: 1n, value: new Uint8Array(65_537) }],
    ["crc32c", { name: "a", slot: 1n, value, crc32c: 1 }],
    ["expected_revision", { name: "a", slot: 1n, value, expectedRevision: 2n ** 63n }],
    ["request_id", { name: "a", slot: 1n, value, requestId: "x".repeat(65) }],
    ["initial_state", { name: "a", slot: 1n, value, initialState: SlotState.DESTROYED }],
  ])("refuses a put with a wrong %s, and stores nothing", async (field, request) => {
    const error = await failure(wire.call(putSlot, request));
    expect([error.code, error.fields]).toEqual(["INVALID_ARGUMENT", [field]]);
    expect((await failure(wire.get("a"))).reason).toBe("SECRET_NOT_FOUND");
  });

  it("takes the largest value and the empty one", async () => {
    await wire.put("sizes", 0n, new Uint8Array(65_536));
    await wire.put("sizes", 1n, "", { crc32c: 0 });
    const answer = await wire.get("sizes");
    expect([answer.value.length, answer.crc32c]).toEqual([0, 0]);
  });

  it.each([
    ["an at that is too large", () => wire.at("there", 2n ** 63n), "at"],
    ["a negative page size", () => wire.call(listSecrets, { pageSize: -1 }), "page_size"],
    ["a page token of other arguments", () => wire.call(listSecrets, { pageToken: "AAAA" }), "page_token"],
    [
      "a page token that passes its check and holds no slot",
      () =>
        wire.call(listSlots, { name: "there", pageToken: encodePageToken(["ListSlots", "there"], "1e3") }),
      "page_token",
    ],
    [
      "an update without a mask",
      () => wire.call(updateSecret, { name: "there", comment: "x" }),
      "update_mask",
    ],
    [
      "an update of an unknown field",
      () => wire.call(updateSecret, { name: "there", updateMask: { paths: ["value"] } }),
      "update_mask",
    ],
    [
      "a comment that is too long",
      () =>
        wire.call(updateSecret, {
          name: "there",
          comment: "é".repeat(513),
          updateMask: { paths: ["comment"] },
        }),
      "comment",
    ],
    [
      "a label key in capitals",
      () =>
        wire.call(updateSecret, { name: "there", labels: { Team: "a" }, updateMask: { paths: ["labels"] } }),
      "labels",
    ],
    ["a state change without a slot", () => wire.call(disableSlot, { name: "there" }), "slot"],
    ["no names to watch", () => wire.watchSlots([]).take(), "names"],
    ["a name to watch twice", () => wire.watchSlots(["there", "there"]).take(), "names[1]"],
    ["an unknown view", () => wire.watchSlots(["there"], { view: 7 }).take(), "view"],
    [
      "garbage for a resume token",
      () => wire.watch("there", { resumeToken: "garbage" }).take(),
      "resume_token",
    ],
  ])("refuses %s", async (_, call, field) => {
    const error = await failure(call());
    expect([error.code, error.fields]).toEqual(["INVALID_ARGUMENT", [field]]);
  });

  it("tells what is missing apart", async () => {
    expect((await failure(wire.get("nowhere"))).reason).toBe("SECRET_NOT_FOUND");
    expect((await failure(wire.at("there", 4n))).reason).toBe("NO_EFFECTIVE_SLOT");
    expect((await failure(wire.call(disableSlot, { name: "there", slot: 9n }))).reason).toBe(
      "SLOT_NOT_FOUND",
    );
  });

  it("answers bytes that are no message, and a name that is not UTF-8, with MALFORMED_REQUEST", async () => {
    const whole = toBinary(
      PutSlotRequestSchema,
      create(PutSlotRequestSchema, { name: "a", slot: 1n, value }),
    );
    const notUtf8 = new Uint8Array([0x0a, 0x02, 0xc3, 0x28]);
    for (const bytes of [whole.subarray(0, -1), notUtf8, new Uint8Array([0xff, 0xff, 0xff])]) {
      const error = await failure(wire.raw(SecretService.typeName, putSlot.name, bytes));
      expect([error.code, error.reason]).toEqual(["INVALID_ARGUMENT", "MALFORMED_REQUEST"]);
    }
  });

  it("answers a message over gRPC's size with RESOURCE_EXHAUSTED, and goes on", async () => {
    const error = await failure(
      wire.raw(SecretService.typeName, getSecret.name, new Uint8Array(5 * 1024 * 1024)),
    );
    expect(error.code).toBe("RESOURCE_EXHAUSTED");
    expect((await wire.get("there")).slot).toBe(5n);
  });

  it("says one and the same for every way to have no identity", async () => {
    const { getSecret: method } = SecretService.method;
    const stranger = new Wire(server.address, undefined);
    const body = new Uint8Array([0x0a, 0x01, 0x61]);
    const headers: Record<string, string>[] = [
      {},
      { authorization: "Bearer sst_nonsense" },
      { authorization: `Bearer ${server.adminToken.slice(0, -1)}x` },
      { authorization: `Basic ${server.adminToken}` },
      { authorization: server.adminToken },
      { authorization: "Bearer a.b.c" },
    ];
    const errors = await Promise.all(
      headers.map((header) => failure(stranger.raw(SecretService.typeName, method.name, body, header))),
    );
    expect(
      new Set(errors.map(({ code, reason, message }) => JSON.stringify([code, reason, message]))),
    ).toEqual(new Set([JSON.stringify(["UNAUTHENTICATED", "UNAUTHENTICATED", errors[0]?.message])]));
    // Identity comes before decoding: a stranger is not told that its message is wrong.
    expect(
      (await failure(stranger.raw(SecretService.typeName, method.name, new Uint8Array([0xff])))).code,
    ).toBe("UNAUTHENTICATED");
    stranger.close();
  });
});
