import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { AbsentReason, AutoSlot, SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { text, Wire } from "../support/wire.ts";
import type { Pause } from "./meanwhile/pauses.ts";

/** What another process changes between two looks of one call at the store: races that random calls met by chance. */

const REGISTER = new URL("./meanwhile/register.ts", import.meta.url).href;
const { putSlot, deleteSecret, disableSlot } = SecretService.method;

let closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

/** Two servers on one store: `one` stands still at a place, while `other` changes something. */
async function twoServers(pause: Pause) {
  const folder = mkdtempSync(join(tmpdir(), "slots-meanwhile-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const env = {
    SLOTS_TEST_PAUSE: pause,
    SLOTS_TEST_PAUSE_IN: folder,
    NODE_OPTIONS: `--import=${REGISTER}`,
  };
  const dataDir = join(folder, "store");
  const [one, other] = [await start({ dataDir, env }), await start({ dataDir })];
  return {
    one,
    other,
    /** What `call` of `one` gives when `change` happens at that place. */
    async meanwhile<T>(call: () => Promise<T>, change: () => Promise<unknown>): Promise<T> {
      writeFileSync(join(folder, "armed"), "");
      const result = call();
      // Until it is awaited nobody else hears of its failure.
      result.catch(() => {});
      await waitFor(`a server comes to where ${pause}`, () => existsSync(join(folder, "reached")));
      await change();
      writeFileSync(join(folder, "go"), "");
      return result;
    },
  };
}

async function start(options: { dataDir: string; env?: Record<string, string> }): Promise<Wire> {
  const server = await ServerProcess.start(options);
  const wire = new Wire(server.address, server.adminToken);
  closing.push(
    () => server.kill(),
    () => wire.close(),
  );
  return wire;
}

it("answers GetEffectiveAt with the value that was chosen, though its secret is deleted before it is opened", async () => {
  const pair = await twoServers("a slot was chosen for GetEffectiveAt and is not opened yet");
  const { one, other } = pair;
  await one.put("a", 3n, "three");
  await one.put("a", 5n, "five");
  // From here on it keeps the numbers of the slots, and the value of one alone.
  await one.at("a", 5n);
  const answer = await pair.meanwhile(
    () => one.at("a", 3n),
    () => other.call(deleteSecret, { name: "a" }),
  );
  expect([answer.slot, text(answer.value)]).toEqual([3n, "three"]);
});

it("says of a watched secret that nothing is left when its last slot goes before its slots are told (W5)", async () => {
  const pair = await twoServers("a watched secret was read and its slots are not yet");
  const { one, other } = pair;
  await one.put("a", 3n, "three");
  const stream = one.watchSlots(["a"]);
  closing.push(() => stream.cancel());
  const events = await pair.meanwhile(
    async () => [await stream.take(), await stream.take(), await stream.take()].map(({ event }) => event),
    () => other.call(disableSlot, { name: "a", slot: 3n }),
  );
  expect(events.map((event) => event.case)).toEqual(["begin", "absent", "synced"]);
  expect(events[1]?.value).toMatchObject({ name: "a", reason: AbsentReason.NO_ENABLED_SLOT });
});

it("takes another number when another put took the next one, though with the same value", async () => {
  const pair = await twoServers("the next number was chosen for a put and its slot is not read yet");
  const { one, other } = pair;
  await one.put("a", 0n, "zero");
  const next = (wire: Wire) =>
    wire.call(putSlot, { name: "a", autoSlot: AutoSlot.NEXT_INDEX, value: Buffer.from("same") });
  const answer = await pair.meanwhile(
    () => next(one),
    () => next(other),
  );
  expect([answer.slot, answer.created]).toEqual([2n, true]);
});
