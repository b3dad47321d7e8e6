import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { OpenedSecrets } from "../../src/core/opened-secrets.ts";
import { Keyring } from "../../src/crypto/keyring.ts";
import { MasterKey } from "../../src/crypto/master-key.ts";
import type { SecretValue } from "../../src/domain/secret-value.ts";
import { openMemoryStorage } from "../../src/storage/memory/memory-storage.ts";
import { committed, name, put, slot } from "../contracts/storage-commits.ts";
import { ServerProcess } from "../support/server-process.ts";
import { text, Wire } from "../support/wire.ts";

/** A store with a value at slot 0 of each of `a/0`, `a/1` …, and what is opened of it. */
async function opened(maxBytes: number, secrets = 4) {
  const storage = openMemoryStorage();
  const keyring = new Keyring([MasterKey.generate()]);
  const write = async (secret: string, number: number) => {
    const mutation = put(secret, number);
    const { versionId } = mutation;
    const place = { storeId: storage.identity.storeId, name: name(secret), slot: slot(number), versionId };
    const value = Buffer.from(`value of ${secret} ${number}`);
    await committed(storage, { ...mutation, size: value.length, record: keyring.seal(place, value) });
  };
  for (let index = 0; index < secrets; index++) await write(`a/${index}`, 0);
  const kept = new OpenedSecrets({ storage, keyring, maxBytes });
  const read = (secret: string): SecretValue => {
    const { state } = kept.current(name(secret));
    return kept.open(name(secret), state.slot!);
  };
  return { kept, write, read };
}

const plain = (value: SecretValue) => Buffer.from(value.reveal()).toString();
const isErased = (value: SecretValue, bytes: Uint8Array) => {
  expect(() => value.reveal()).toThrow("after it was erased");
  expect(bytes.every((byte) => byte === 0)).toBe(true);
};

test("a value is opened once for as long as its secret stays as it is, then overwritten", async () => {
  const { kept, write, read } = await opened(1 << 20);
  const [first, other] = [read("a/0"), read("a/1")];
  const bytes = first.reveal();
  expect(read("a/0")).toBe(first);
  await write("a/0", 1);
  kept.sync();
  expect(plain(read("a/0"))).toBe("value of a/0 1");
  await nextTurn();
  isErased(first, bytes);
  expect(read("a/1")).toBe(other);
});

test("what was read after a look is not given out as the state at that look (W4, W12)", async () => {
  const { kept, write } = await opened(1 << 20);
  const look = kept.sync();
  await write("a/0", 1);
  // As streams do that were woken by one look, while another process writes.
  for (let stream = 0; stream < 3; stream++) {
    const { head, state } = kept.current(name("a/0"), look);
    expect(state.revision).toBeLessThanOrEqual(head.revision);
    const effective = kept.effectiveAt(name("a/0"), slot(9), look);
    expect(effective.slot?.revision).toBeLessThanOrEqual(effective.head.revision);
    // Of a slot that is open already the numbers that are kept are believed.
    kept.open(name("a/0"), effective.slot!);
  }
});

test("what is over the bound is overwritten, the longest unused first", async () => {
  const { read } = await opened(8192);
  const values = ["a/0", "a/1", "a/0", "a/2", "a/2"].map(read);
  const bytes = values[1]!.reveal();
  await nextTurn();
  isErased(values[1]!, bytes);
  expect(plain(values[0]!)).toBe("value of a/0 0");
  expect(read("a/0")).toBe(values[0]);
  expect(plain(read("a/1"))).toBe("value of a/1 0");
});

test("what is asked for once pushes out nothing, and is not kept", async () => {
  const { read } = await opened(8192, 40);
  const [first, second] = ["a/0", "a/1"].map(read);
  for (let index = 2; index < 40; index++) {
    const value = read(`a/${index}`);
    const bytes = value.reveal();
    await nextTurn();
    isErased(value, bytes);
  }
  expect(read("a/0")).toBe(first);
  expect(read("a/1")).toBe(second);
  const again = read("a/7");
  expect(read("a/7")).toBe(again);
});

test("with no room nothing is kept beyond its turn", async () => {
  const { read } = await opened(0);
  const value = read("a/0");
  const bytes = value.reveal();
  expect(plain(value)).toBe("value of a/0 0");
  await nextTurn();
  isErased(value, bytes);
  expect(plain(read("a/0"))).toBe("value of a/0 0");
});

test("a value that somebody holds is overwritten once it was let go", async () => {
  const { read } = await opened(0);
  const value = read("a/0");
  const bytes = value.reveal();
  value.hold();
  await nextTurn();
  expect(plain(value)).toBe("value of a/0 0");
  value.release();
  await vi.waitFor(() => isErased(value, bytes), { timeout: 20_000 });
});

for (const size of ["0", "4096"]) {
  test(`with --cache-bytes ${size}, calls and watches that wait for the log side by side get whole values`, async () => {
    const server = await ServerProcess.start({ args: ["--cache-bytes", size, "--audit-sync", "fsync"] });
    const wire = new Wire(server.address, server.adminToken);
    const names = Array.from({ length: 12 }, (_, index) => `c/${index}`);
    await Promise.all(names.map((secret) => wire.put(secret, 0n, `value of ${secret}`)));
    const slots = wire.watchSlots(names);
    await Promise.all(
      Array.from({ length: 120 }, async (_, index) => {
        const secret = names[index % names.length]!;
        const way = index % 3;
        if (way === 2) {
          const { event } = await wire.watch(secret).take();
          expect(event.case === "current" && text(event.value.value)).toBe(`value of ${secret}`);
        } else {
          const answer = await (way === 0 ? wire.get(secret) : wire.at(secret, 5n));
          expect(text(answer.value)).toBe(`value of ${secret}`);
        }
      }),
    );
    for (let found = 0; found < names.length; ) {
      const { event } = await slots.take();
      if (event.case !== "slot") continue;
      expect(text(event.value.value)).toBe(`value of ${event.value.name}`);
      found += 1;
    }
    wire.close();
    await server.dispose();
  });
}
