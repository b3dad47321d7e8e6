import type { ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { BoundSource } from "../../src/server/connections/bound-source.ts";
import { Dispatcher, type DispatcherOptions } from "../../src/server/connections/dispatcher.ts";
import type { GivenUp, Offer, WorkerSays } from "../../src/server/connections/handover.ts";
import { ConcurrencyLimit } from "../../src/server/limits.ts";
import { waitFor } from "../support/wait-for.ts";

/** The bounds and turns of the hand-over, with workers that only count; real ones are in workers.test.ts. */
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

type Sent = (error: Error | null) => void;

class FakeWorker extends EventEmitter {
  readonly pid = 1;
  readonly offers: { readonly id: number; readonly socket: Socket }[] = [];
  connected = true;
  /** "broken": sends fail. "slow", "stuck": what is sent after an offer leaves late, or never. */
  state: "whole" | "broken" | "slow" | "stuck" = "whole";
  /** How often something could not be sent to it. */
  refused = 0;
  killed: string | undefined;

  send(message: GivenUp, done: Sent): void;
  send(message: Offer, socket: Socket, options: object, done: Sent): void;
  send(message: Offer | GivenUp, second: Socket | Sent, _?: object, last?: Sent): void {
    const done = typeof second === "function" ? second : last;
    if (done === undefined) return;
    if (message.kind !== "connection" && this.state === "stuck") return;
    if (message.kind !== "connection" && this.state === "slow") {
      setTimeout(done, 20, null);
      return;
    }
    if (this.state === "broken") {
      this.refused += 1;
      process.nextTick(done, new Error("no memory for it"));
      return;
    }
    if (typeof second !== "function") this.offers.push({ id: message.id, socket: second });
    process.nextTick(done, null);
  }

  kill(signal: string): void {
    this.killed = signal;
    this.emit("close", null, signal);
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
  const lines: { readonly count?: number; readonly message: string }[] = [];
  const log = (details: object, message: string) => lines.push({ ...details, message });
  const dispatcher = new Dispatcher({
    maxWaiting: 100,
    waitingOfAddress: waitingOfAddress(100),
    waitMs: 60_000,
    log: { warn: log, error: log },
    ...options,
  });
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
  return { dispatcher, worker, visit, lines };
}

const waitingOfAddress = (max: number) =>
  new ConcurrencyLimit({ max, reason: "TOO_MANY_CONNECTIONS", retryAfterMs: 0 });

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

test("what can't be sent goes to another, and who could not be sent it is tried again", async () => {
  const { worker, visit, lines } = await setUp();
  const [one, two] = [worker(), worker()];
  one.state = "broken";
  await visit();
  await waitFor("the other", () => two.offers.length === 1);
  await visit();
  await waitFor("tries", () => one.refused >= 3);
  expect(counts(one, two)).toEqual([0, 1]);
  one.state = "whole";
  await waitFor("what waited", () => one.offers.length === 1);
  await waitFor("a line", () => lines.length > 0);
  expect(lines[0]).toMatchObject({
    count: expect.any(Number),
    cause: "no memory for it",
    message: "connections could not be sent to a worker; others get them",
  });
});

test.each([
  ["ended", (worker: FakeWorker) => worker.emit("close", 1, null)],
  ["said that it takes no more", (worker: FakeWorker) => worker.say({ kind: "connections-closed" })],
])("a worker that %s is not tried again", async (_, leave) => {
  const { worker, visit } = await setUp();
  const one = worker();
  one.state = "broken";
  await visit();
  await waitFor("a try", () => one.refused > 0);
  leave(one);
  const tries = one.refused;
  const two = worker();
  await waitFor("the other", () => two.offers.length === 1);
  // Longer than it would rest.
  await pause(300);
  two.take();
  await visit();
  await visit();
  expect([one.refused, ...counts(one, two)]).toEqual([tries, 0, 2]);
});

test("a worker without its pipe is left to end", async () => {
  const { worker, visit } = await setUp();
  const [one, two] = [worker(), worker()];
  Object.assign(one, { state: "broken", connected: false });
  await visit();
  await waitFor("the other", () => two.offers.length === 1);
  await pause(300);
  await visit();
  expect([one.refused, ...counts(one, two)]).toEqual([1, 0, 1]);
});

test("more than may wait are cut, and all that wait are at the end", async () => {
  const { dispatcher, visit, lines } = await setUp({ maxWaiting: 2 });
  const visitors = [await visit(), await visit(), await visit()];
  const [one, two, three] = visitors as [Socket, Socket, Socket];
  await waitFor("the cut", () => three.destroyed);
  expect([one.destroyed, two.destroyed]).toEqual([false, false]);
  dispatcher.close();
  await waitFor("the end", () => one.destroyed && two.destroyed);
  expect(lines).toEqual([{ count: 1, message: "connections were cut: as many wait for a worker as may" }]);
});

test("what one address may have wait is bounded, and counts for as long as it waits", async () => {
  const { worker, visit, lines } = await setUp({ waitingOfAddress: waitingOfAddress(2) });
  const visitors = [await visit(), await visit(), await visit(), await visit()];
  await waitFor("the cut", () => visitors.filter(({ destroyed }) => destroyed).length === 2);
  expect(visitors.map(({ destroyed }) => destroyed)).toEqual([false, false, true, true]);
  await waitFor("lines", () => lines.reduce((sum, { count = 0 }) => sum + count, 0) === 2);
  const one = worker();
  const closed = once(one.offers[0]?.socket as Socket, "close");
  one.take();
  await closed;
  const next = await visit();
  one.take();
  one.take();
  expect(counts(one)).toEqual([3]);
  expect(next.destroyed).toBe(false);
});

test("a connection that nobody takes in time ends, and its worker is offered the next", async () => {
  const { worker, visit, lines } = await setUp({ waitMs: 20 });
  const one = worker();
  const offered = await visit();
  expect(counts(one)).toEqual([1]);
  await waitFor("its end", () => offered.destroyed);
  const late = await visit();
  expect(counts(one)).toEqual([2]);
  one.say({ kind: "connections-closed" });
  await waitFor("the end of one without a worker", () => late.destroyed);
  await waitFor("a line", () => lines.length > 0);
  expect(lines[0]).toEqual({
    count: expect.any(Number),
    message: "connections were cut: no worker took them in time",
  });
  expect(one.killed).toBeUndefined();
});

test("a worker that nothing reaches any more is ended, so that it is replaced", async () => {
  const { worker, visit, lines } = await setUp({ waitMs: 200 });
  const [one, two] = [worker(), worker()];
  one.state = "stuck";
  await visit();
  await waitFor("its end", () => one.killed !== undefined);
  expect(one.killed).toBe("SIGKILL");
  expect(lines).toContainEqual({
    pid: 1,
    message: "a worker stands still, or nothing reaches it; it is ended",
  });
  await visit();
  expect(counts(one, two)).toEqual([1, 1]);
});

test("a worker that was slow is offered the next", async () => {
  const { worker, visit } = await setUp({ waitMs: 500 });
  const one = worker();
  one.state = "slow";
  const offered = await visit();
  await waitFor("its end", () => offered.destroyed);
  await visit();
  await waitFor("the next", () => one.offers.length === 2);
  expect(one.killed).toBeUndefined();
});
