import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { openSqliteStorage } from "../../src/storage/sqlite/open.ts";
import type { Pipe, PipeMessage } from "../../src/storage/sqlite/remote-channel.ts";
import { commitOf, committed, name, put, setState } from "../contracts/storage-commits.ts";
import { StoreProcess } from "./store-process.ts";
import { tempDir } from "./temp-dir.ts";

/** Two ends of a pipe within this process. `cut` loses what is on its way and ends both. */
function pipePair(): { readonly near: Pipe; readonly far: Pipe; readonly cut: () => void } {
  const ends: (() => void)[] = [];
  const takes: [((message: PipeMessage) => void)[], ((message: PipeMessage) => void)[]] = [[], []];
  let whole = true;
  const end = (own: 0 | 1, other: 0 | 1): Pipe => ({
    send: (message) => {
      const copy = structuredClone(message);
      void nextTurn().then(() => {
        if (whole) for (const take of takes[other]) take(copy);
      });
    },
    onMessage: (take) => void takes[own].push(take),
    onEnd: (ended) => void ends.push(ended),
  });
  const cut = () => {
    whole = false;
    for (const ended of ends) ended();
  };
  return { near: end(0, 1), far: end(1, 0), cut };
}

test("worker processes write through one writer, and share its flushes", async () => {
  const dataDir = tempDir();
  const storage = await openSqliteStorage({ dataDir });
  const workers = await Promise.all([1, 2].map(() => StoreProcess.start(dataDir, storage)));
  await Promise.all([
    ...workers.map((worker, index) => worker.putMany(`worker/${index}`, 50)),
    ...Array.from({ length: 50 }, (_, number) => committed(storage, put("own", number))),
  ]);
  expect(storage.head().revision).toBe(150n);
  const { commits, flushes } = storage.stats();
  expect(commits).toBe(150);
  expect(flushes).toBeLessThan(75);
  for (const [index, worker] of workers.entries()) {
    expect(await worker.current(`worker/${index}`)).toBe(49n);
    expect(await worker.current("own")).toBe(49n);
  }
  await Promise.all(workers.map((worker) => worker.close()));
  await storage.close();
}, 60_000);

test("answers, refusals and rings come through a pipe as they do from a thread", async () => {
  const dataDir = tempDir();
  const storage = await openSqliteStorage({ dataDir });
  const { near, far } = pipePair();
  storage.serveWrites(near);
  const remote = await openSqliteStorage({ dataDir, writer: far, maxWaiting: 2 });
  const ring = vi.fn();
  remote.onCommit(ring);
  const result = await committed(remote, put("a", 0));
  expect(result.secret).toEqual(storage.readSecret(name("a")).secret);
  expect(ring).toHaveBeenCalled();
  expect(await remote.commit(commitOf(setState("a", 9, "disabled")))).toEqual({
    kind: "rejected",
    rejection: { kind: "slot-not-found" },
  });
  const outcomes = await Promise.allSettled([1, 2, 3].map((number) => committed(remote, put("a", number))));
  expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  expect(await remote.newEpoch()).toBe(storage.head().epoch);
  await remote.close();
  await storage.close();
});

test("when the writer's process is gone, those who wait are told, and nobody waits any more", async () => {
  const dataDir = tempDir();
  const storage = await openSqliteStorage({ dataDir });
  const { near, far, cut } = pipePair();
  storage.serveWrites(near);
  const remote = await openSqliteStorage({ dataDir, writer: far });
  await committed(remote, put("a", 0));
  const waiting = remote.commit(commitOf(put("a", 1)));
  cut();
  await expect(waiting).rejects.toMatchObject({ reason: "STORE_BUSY" });
  await expect(remote.commit(commitOf(put("a", 2)))).rejects.toMatchObject({ reason: "STORE_BUSY" });
  expect(remote.readCurrent(name("a")).slot?.slot).toBe(0n);
  await remote.close();
  await storage.close();
});
