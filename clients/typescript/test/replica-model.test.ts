import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  AbsentReason,
  type WatchSlotsResponse,
  WatchSlotsResponseSchema,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { Replica } from "../src/replica.ts";

type Event = NonNullable<MessageInitShape<typeof WatchSlotsResponseSchema>["event"]>;
type Slot = { readonly text: string; readonly revision: bigint };

/** A store of one secret as the server sees it, and what a WatchSlots stream of it says. */
class Store {
  revision = 0n;
  slots = new Map<bigint, Slot>();
  readonly #removed = new Map<bigint, bigint>();
  #stateRevision = 0n;

  put(slot: bigint): void {
    this.revision++;
    this.slots.set(slot, { text: `v${this.revision}`, revision: this.revision });
    this.#removed.delete(slot);
    this.#stateRevision = this.revision;
  }

  remove(slot: bigint): void {
    if (!this.slots.delete(slot)) return;
    this.#removed.set(slot, ++this.revision);
    this.#stateRevision = this.revision;
  }

  /** The messages of a stream that resumes from `token`, up to its synced. */
  messages(token: string): WatchSlotsResponse[] {
    const from = token === "" ? undefined : BigInt(token);
    if (from === this.revision) return [this.#message(this.revision, { case: "progress", value: {} })];
    const events: WatchSlotsResponse[] = [];
    if (from === undefined)
      events.push(this.#message(this.revision, { case: "begin", value: { name: "s" } }));
    for (const [slot, { text, revision }] of this.slots) {
      if (from !== undefined && revision <= from) continue;
      const value = { name: "s", slot, value: new TextEncoder().encode(text) };
      events.push(this.#message(revision, { case: "slot", value }));
    }
    for (const [slot, revision] of this.#removed) {
      if (from === undefined || revision <= from) continue;
      events.push(this.#message(revision, { case: "removed", value: { name: "s", slot } }));
    }
    if (this.slots.size === 0) {
      const reason = AbsentReason.NO_ENABLED_SLOT;
      events.push(this.#message(this.#stateRevision, { case: "absent", value: { name: "s", reason } }));
    }
    return [...events, this.#message(this.revision, { case: "synced", value: {} })];
  }

  #message(revision: bigint, event: Event): WatchSlotsResponse {
    const closing = event.case === "synced" || event.case === "progress";
    const resumeToken = closing ? String(this.revision) : "";
    return create(WatchSlotsResponseSchema, { epoch: "e1", revision, resumeToken, event });
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant("put" as const), slot: fc.bigInt(0n, 5n) }),
  fc.record({ do: fc.constant("remove" as const), slot: fc.bigInt(0n, 5n) }),
  /** A stream that is cut after so many messages; it ends with its synced at the latest. */
  fc.record({ do: fc.constant("stream" as const), cut: fc.nat(12), forget: fc.boolean() }),
);

it("shows only states that the store had, newer ones after older ones, whatever is cut (W3, W5, W14)", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const store = new Store();
      const replica = new Replica(["s"]);
      let shown = "";
      for (const one of steps) {
        if (one.do === "put") store.put(one.slot);
        else if (one.do === "remove") store.remove(one.slot);
        else {
          if (one.forget) replica.forgetToken();
          replica.streamOpened();
          const before = replica.state("s");
          const messages = store.messages(replica.resumeToken);
          const results = messages.slice(0, one.cut).map((message) => replica.receive(message));
          const after = replica.state("s");
          if (results.length < messages.length) {
            expect(after).toBe(before);
          } else {
            const wanted = [...store.slots].sort(([a], [b]) => (a < b ? -1 : 1));
            expect(after?.slots.map(({ slot, value }) => [slot, value?.text()])).toEqual(
              wanted.map(([slot, { text }]) => [slot, text]),
            );
            const content = JSON.stringify(wanted, (_, value) =>
              typeof value === "bigint" ? String(value) : value,
            );
            const changed = content !== shown;
            shown = content;
            if (before !== undefined && after !== before)
              expect(after!.revision).toBeGreaterThan(before.revision);
            if (before !== undefined && changed) expect(after).not.toBe(before);
          }
        }
      }
    }),
    { numRuns: 500 },
  );
});
