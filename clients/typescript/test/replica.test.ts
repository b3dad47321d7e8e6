import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  AbsentReason,
  type WatchSlotsResponse,
  WatchSlotsResponseSchema,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { crc32c } from "../src/crc32c.ts";
import { Replica } from "../src/replica.ts";

type Event = NonNullable<MessageInitShape<typeof WatchSlotsResponseSchema>["event"]>;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function message(revision: bigint, event: Event, epoch = "e1"): WatchSlotsResponse {
  return create(WatchSlotsResponseSchema, { epoch, revision, resumeToken: `t${revision}`, event });
}

const begin = (revision: bigint, name = "s", epoch?: string): WatchSlotsResponse =>
  message(revision, { case: "begin", value: { name } }, epoch);
const slot = (revision: bigint, number: bigint, text: string, epoch?: string): WatchSlotsResponse =>
  message(
    revision,
    { case: "slot", value: { name: "s", slot: number, value: bytes(text), crc32c: crc32c(bytes(text)) } },
    epoch,
  );
const removed = (revision: bigint, number: bigint): WatchSlotsResponse =>
  message(revision, { case: "removed", value: { name: "s", slot: number } });
const failed = (revision: bigint, number: bigint, epoch?: string): WatchSlotsResponse =>
  message(revision, { case: "failed", value: { name: "s", slot: number } }, epoch);
const absent = (revision: bigint, reason: AbsentReason, name = "s"): WatchSlotsResponse =>
  message(revision, { case: "absent", value: { name, reason } });
const synced = (revision: bigint, epoch?: string): WatchSlotsResponse =>
  message(revision, { case: "synced", value: {} }, epoch);
const progress = (revision: bigint): WatchSlotsResponse => message(revision, { case: "progress", value: {} });
const reset = (revision: bigint, epoch?: string): WatchSlotsResponse =>
  message(revision, { case: "historyReset", value: {} }, epoch);

/** A replica at revision 10 with slots 0 (commit 3) and 5 (commit 10). */
function started(): Replica {
  const replica = new Replica(["s"]);
  replica.streamOpened();
  feed(replica, begin(10n), slot(3n, 0n, "a"), slot(10n, 5n, "b"), synced(10n));
  return replica;
}

function feed(replica: Replica, ...messages: WatchSlotsResponse[]): ReturnType<Replica["receive"]> {
  return messages.map((one) => replica.receive(one)).at(-1)!;
}

function shown(replica: Replica): string {
  const state = replica.state("s");
  const slots = state?.slots.map(({ slot, value }) => `${slot}=${value?.text() ?? "FAILED"}`).join(" ");
  return `${state?.revision} ${state?.absent ?? slots}`;
}

describe("the WatchSlots state machine", () => {
  it("applies nothing before synced, and then all of it", () => {
    const replica = new Replica(["s"]);
    replica.streamOpened();
    feed(replica, begin(4n), slot(3n, 0n, "a"), slot(4n, 5n, "b"));
    expect(replica.state("s")).toBeUndefined();
    const result = feed(replica, synced(4n));
    expect(result).toMatchObject({ type: "synced", changes: [{ previous: undefined }] });
    expect(shown(replica)).toBe("4 0=a 5=b");
    expect(replica.resumeToken).toBe("t4");
  });

  it("loses what was pending with its stream", () => {
    const replica = started();
    feed(replica, slot(11n, 9n, "c"));
    replica.streamOpened();
    feed(replica, synced(12n));
    expect(shown(replica)).toBe("10 0=a 5=b");
  });

  it("gives a state the revision of the commit that made it so", () => {
    const replica = started();
    feed(replica, slot(12n, 9n, "c"), synced(15n));
    expect(shown(replica)).toBe("12 0=a 5=b 9=c");
    feed(replica, removed(17n, 9n), synced(17n));
    expect(shown(replica)).toBe("17 0=a 5=b");
    feed(replica, absent(20n, AbsentReason.NO_ENABLED_SLOT), synced(20n));
    expect(shown(replica)).toBe("20 NO_ENABLED_SLOT");
    feed(replica, slot(21n, 1n, "d"), synced(21n));
    expect(shown(replica)).toBe("21 1=d");
  });

  it("takes the revision of synced when a rebuilt state lost its newest slot unseen", () => {
    const replica = started();
    replica.streamOpened();
    feed(replica, begin(20n), slot(3n, 0n, "a"), synced(20n));
    expect(shown(replica)).toBe("20 0=a");
  });

  it("keeps a state that was rebuilt to what it was", () => {
    const replica = started();
    const before = replica.state("s");
    replica.streamOpened();
    expect(feed(replica, begin(20n), slot(3n, 0n, "a"), slot(10n, 5n, "b"), synced(20n))).toMatchObject({
      changes: [],
    });
    expect(replica.state("s")).toBe(before);
  });

  it("ignores events that are older than what is applied (W14)", () => {
    const replica = started();
    feed(replica, slot(9n, 5n, "older"), removed(2n, 0n), synced(11n));
    expect(shown(replica)).toBe("10 0=a 5=b");
  });

  it("refuses a synced or progress behind the last one in the same history (W14)", () => {
    for (const behind of [synced(9n), progress(9n)]) {
      const replica = started();
      expect(() => feed(replica, begin(9n), slot(9n, 7n, "older"), behind)).toThrow(/behind/);
      expect(shown(replica)).toBe("10 0=a 5=b");
      expect(replica.resumeToken).toBe("");
    }
  });

  it("accepts lower revisions after a history reset, and a new epoch without one", () => {
    const cut = started();
    feed(cut, reset(2n), begin(2n), slot(2n, 0n, "x"), synced(2n));
    expect(cut.state("s")?.top?.value.text()).toBe("x");
    const moved = started();
    feed(moved, begin(2n, "s", "e2"), slot(2n, 0n, "x", "e2"), synced(2n, "e2"));
    expect(shown(moved)).toBe("2 0=x");
    expect(moved.state("s")?.epoch).toBe("e2");
  });

  it("shows what it had until the synced after a reset, then forgets what did not come again", () => {
    const replica = started();
    feed(replica, reset(1n, "e2"));
    expect(shown(replica)).toBe("10 0=a 5=b");
    expect(replica.resumeToken).toBe("");
    feed(replica, synced(1n, "e2"));
    expect(shown(replica)).toBe("0 NOT_EXISTING");
  });

  it("takes no token while something is pending", () => {
    const replica = started();
    feed(replica, slot(11n, 9n, "c"), progress(12n));
    expect(replica.resumeToken).toBe("t10");
    feed(replica, synced(12n), progress(13n));
    expect(replica.resumeToken).toBe("t13");
    expect(shown(replica)).toBe("11 0=a 5=b 9=c");
  });

  it("keeps the good value of a record that was damaged later, and fails a newer one", () => {
    const replica = started();
    replica.streamOpened();
    feed(replica, begin(11n), slot(3n, 0n, "a"), failed(10n, 5n), synced(11n));
    expect(shown(replica)).toBe("10 0=a 5=b");
    feed(replica, failed(12n, 5n), synced(12n));
    expect(shown(replica)).toBe("12 0=a 5=FAILED");
    expect(() => replica.state("s")!.current()).toThrow(
      expect.objectContaining({ code: "DATA_LOSS", reason: "DATA_LOSS" }),
    );
    expect(replica.state("s")!.effectiveAt(4).value.text()).toBe("a");
    expect(
      replica
        .state("s")!
        .acceptable(5, 5)
        .map(({ slot: number }) => number),
    ).toEqual([0n]);
  });

  it("does not take a good value of another epoch for a failed slot", () => {
    const replica = started();
    feed(replica, reset(10n, "e2"), begin(10n, "s", "e2"), failed(10n, 5n, "e2"), synced(10n, "e2"));
    expect(shown(replica)).toBe("10 5=FAILED");
  });

  it("drops a value that does not match its checksum", () => {
    const replica = started();
    const wrong = message(11n, {
      case: "slot",
      value: { name: "s", slot: 9n, value: bytes("c"), crc32c: 1 },
    });
    expect(() => replica.receive(wrong)).toThrow(expect.objectContaining({ code: "DATA_LOSS" }));
    expect(shown(replica)).toBe("10 0=a 5=b");
  });

  it("ignores names it did not ask for and events it does not know", () => {
    const replica = started();
    feed(replica, begin(11n, "other"), absent(11n, AbsentReason.NOT_EXISTING, "other"));
    feed(replica, create(WatchSlotsResponseSchema, { epoch: "e1", revision: 11n }), synced(11n));
    expect(replica.state("other")).toBeUndefined();
    expect(shown(replica)).toBe("10 0=a 5=b");
  });

  it("sorts slots whatever order they come in", () => {
    const replica = started();
    feed(replica, slot(11n, 3n, "m"), slot(12n, 2n ** 63n - 1n, "top"), synced(12n));
    expect(shown(replica)).toBe(`12 0=a 3=m 5=b ${2n ** 63n - 1n}=top`);
  });
});
