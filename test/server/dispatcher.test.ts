import type { ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { BoundSource } from "../../src/server/connections/bound-source.ts";
import { Dispatcher, type DispatcherOptions } from "../../src/server/connections/dispatcher.ts";
import type { Offer, WorkerSays } from "../../src/server/connections/handover.ts";
import { waitFor } from "../support/wait-for.ts";

/** The bounds and turns of the hand-over, with workers that only count; real ones are in workers.test.ts. */
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

class FakeWorker extends EventEmitter {
  readonly offers: { readonly id: number; readonly socket: Socket }[] = [];
  broken = false;

  send(offer: Offer, socket: Socket, _: object, done: (error: Error | null) => void): void {
    if (!this.broken) this.offers.push({ id: offer.id, socket });
    process.nextTick(done, this.broken ? new Error("the pipe is broken") : null);
  }

  say(message: WorkerSays): void {
    this.emit("message", message);
  }

  take(): void {
    this.say({ kind: "connection-taken", id: this.offers.at(-1)?.id ?? 0 });
  }
}

async function setUp(options: Partial<DispatcherOptions> = {}) {
  const source = new BoundSource({ kind: "tcp", host: "127.0.0.1", port: 0 }, { pauseOnConnect: true });
  const dispatcher = new Dispatcher({ maxWaiting: 100, waitMs: 60_000, ...options });
  let accepted = 0;
  const address = await source.open((socket) => {
    accepted += 1;
    dispatcher.accept(socket);
  });
  cleanups.push(() => {
    source.close();
    dispatcher.close();
  });
  const worker = () => {
    const made = new FakeWorker();
    dispatcher.add(made as unknown as ChildProcess);
    made.say({ kind: "connections-open" });
    return made;
  };
  const visit = async () => {
    const before = accepted;
    const visitor = connect(Number(address.split(":").at(-1)), "127.0.0.1");
    visitor.resume();
    visitor.on("error", () => {});
    cleanups.push(() => visitor.destroy());
    await once(visitor, "connect");
    await waitFor("the connection", () => accepted > before);
    return visitor;
  };
  return { dispatcher, worker, visit };
}

const counts = (...workers: FakeWorker[]) => workers.map(({ offers }) => offers.length);

test("workers take turns, and one that has not taken what it was offered is passed over", async () => {
  const { worker, visit } = await setUp();
  const [one, two] = [worker(), worker()];
  await visit();
  await visit();
  expect(counts(one, two)).toEqual([1, 1]);
  await visit();
  expect(counts(one, two)).toEqual([1, 1]);
  two.take();
  expect(counts(one, two)).toEqual([1, 2]);
  // Of the one before: it says nothing of the one on offer.
  two.say({ kind: "connection-taken", id: two.offers[0]?.id ?? 0 });
  await visit();
  expect(counts(one, two)).toEqual([1, 2]);
});

test.each([
  ["says that it takes no more", (worker: FakeWorker) => worker.say({ kind: "connections-closed" })],
  ["ends", (worker: FakeWorker) => worker.emit("close", 1, null)],
])("what a worker that %s did not take goes to another", async (_, leave) => {
  const { worker, visit } = await setUp();
  const [one, two] = [worker(), worker()];
  await visit();
  leave(one);
  expect(two.offers.map(({ socket }) => socket)).toEqual(one.offers.map(({ socket }) => socket));
  two.take();
  await visit();
  expect(counts(one, two)).toEqual([1, 2]);
});

test("what can't be sent goes to another", async () => {
  const { worker, visit } = await setUp();
  const [one, two] = [worker(), worker()];
  one.broken = true;
  await visit();
  await waitFor("the other", () => two.offers.length === 1);
});

test("more than may wait are cut, and all that wait are at the end", async () => {
  const { dispatcher, visit } = await setUp({ maxWaiting: 2 });
  const visitors = [await visit(), await visit(), await visit()];
  const [one, two, three] = visitors as [Socket, Socket, Socket];
  await waitFor("the cut", () => three.destroyed);
  expect([one.destroyed, two.destroyed]).toEqual([false, false]);
  dispatcher.close();
  await waitFor("the end", () => one.destroyed && two.destroyed);
});

test("a connection that nobody takes in time ends, and its worker is offered the next", async () => {
  const { worker, visit } = await setUp({ waitMs: 20 });
  const one = worker();
  const offered = await visit();
  expect(counts(one)).toEqual([1]);
  await waitFor("its end", () => offered.destroyed);
  const late = await visit();
  expect(counts(one)).toEqual([2]);
  one.say({ kind: "connections-closed" });
  await waitFor("the end of one without a worker", () => late.destroyed);
});
