import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { createMasterKeyFile } from "../../src/crypto/master-key-file.ts";
import { failure, type Wire, WireError } from "../support/wire.ts";
import { failWith, replayOf } from "./support/failures.ts";
import { Lane } from "./support/lane.ts";
import { countOf, Random, seedOf } from "./support/random.ts";
import { limitMs } from "./support/time-limit.ts";

const ROTATIONS = countOf("SLOTS_TEST_ROTATIONS", 3);
/** Slots beside those of the writers, so that a rotation takes several batches. */
const STILL = 600;

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const { listMasterKeys, rotateMasterKey, retireMasterKey } = AdminService.method;

/** Rotates, telling of each step; says whether it came to its end. */
async function rotate(wire: Wire, keyId: string, onStep: () => void): Promise<boolean> {
  try {
    for await (const { complete } of wire.stream(rotateMasterKey, { keyId })) {
      onStep();
      if (complete) return true;
    }
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  return false;
}

test(
  `${ROTATIONS} rotations of the master key under load, each killed on its way, lose nothing (D1, W9)`,
  async () => {
    const seed = seedOf("rotations");
    const random = new Random(seed);
    const folder = mkdtempSync(join(tmpdir(), "slots-keys-"));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const keyFile = join(folder, "keys");
    const keys: { id: string; text: string }[] = [];
    let made = 0;
    const addKey = () => {
      made += 1;
      const file = join(folder, `key-${made}`);
      const { id } = createMasterKeyFile(file);
      keys.push({ id, text: readFileSync(file, "utf8") });
      writeKeys();
      return id;
    };
    const writeKeys = () => {
      writeFileSync(keyFile, keys.map(({ text }) => text).join("\n"));
      chmodSync(keyFile, 0o600);
    };
    const lane = new Lane({ random: random.fork(), writers: 4, masterKeyFile: keyFile });
    cleanups.push(() => lane.dispose());
    try {
      let old = addKey();
      await lane.begin();
      await Promise.all(
        Array.from({ length: STILL }, (_, slot) =>
          lane.wire.put(`still/${slot % 3}`, BigInt(slot), `still ${slot}`),
        ),
      );
      for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
        await lane.killAll();
        const next = addKey();
        await lane.begin();
        // Killed after its first steps, with writers that go on sealing.
        let steps = 0;
        const killedAt = 1 + random.below(3);
        const cut = rotate(lane.wire, next, () => {
          steps += 1;
        });
        await lane.loadUntil(() => steps >= killedAt);
        await cut;
        await lane.begin();
        // Whatever the kill left, an old key that something still needs can't be taken away.
        const used = (await lane.wire.call(listMasterKeys, {})).keys.find(({ keyId }) => keyId === old);
        if ((used?.wrappedCount ?? 0n) > 0n || used?.primary) {
          expect((await failure(lane.wire.call(retireMasterKey, { keyId: old }))).reason).toBe("KEY_IN_USE");
        }
        expect(await rotate(lane.wire, next, () => {})).toBe(true);
        const { keys: listed } = await lane.wire.call(listMasterKeys, {});
        expect(listed.find(({ keyId }) => keyId === old)).toMatchObject({ primary: false, wrappedCount: 0n });
        expect(listed.find(({ keyId }) => keyId === next)).toMatchObject({ primary: true });
        expect((await failure(lane.wire.call(retireMasterKey, { keyId: next }))).reason).toBe("KEY_IN_USE");
        await lane.wire.call(retireMasterKey, { keyId: old });
        // Gone from the store, it may go from the file: everything opens without it.
        await lane.killAll();
        expect(await lane.atRest()).toEqual([]);
        keys.shift();
        writeKeys();
        await lane.begin();
        for (const slot of [0, 1, 2, STILL / 2, STILL - 1]) {
          const { value } = await lane.wire.at(`still/${slot % 3}`, BigInt(slot));
          expect(Buffer.from(value).toString()).toBe(`still ${slot}`);
        }
        old = next;
      }
      await lane.round(30);
      await lane.begin();
      await lane.killAll();
      expect(await lane.atRest()).toEqual([]);
    } catch (error) {
      failWith("master-key", replayOf("master-key", seed), String(error));
    }
  },
  limitMs(ROTATIONS, 120_000),
);
