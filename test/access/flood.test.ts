import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:http2";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generateToken } from "../../src/crypto/tokens.ts";
import { NODE, ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { Wire } from "../support/wire.ts";
import { auditLines } from "./audit-records.ts";

/** Guessing tokens at full speed. On demand: SLOTS_TEST_WRONG_TOKENS=1000000 SLOTS_TEST_AT_ONCE=500. */
const TRIES = Number(process.env.SLOTS_TEST_WRONG_TOKENS ?? 4_000);
/** Quiet and flooded times take turns, so that what else the machine does hits both. */
const ROUNDS = TRIES < 50_000 ? 2 : 10;
const QUIET_MS = TRIES < 50_000 ? 1_000 : 5_000;
/** Tries before anything is measured: a program that has just begun is slow, and holds up the others. */
const WARM_UP = 1_000;
let server: ServerProcess;
let admin: Wire;
const children: ChildProcess[] = [];

beforeAll(async () => {
  server = await ServerProcess.start();
  admin = new Wire(server.address, server.adminToken);
  await admin.put("db", 0n, "value");
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  admin?.close();
  await server?.dispose();
});

function start(file: string, env: Record<string, string> = {}): ChildProcess {
  const options = { execPath: NODE, execArgv: [], env: { ...process.env, ...env } };
  const child = fork(join(import.meta.dirname, file), [server.address], options);
  children.push(child);
  return child;
}

async function ask<T>(child: ChildProcess, question: string | number): Promise<T> {
  const answer = once(child, "message") as Promise<[T]>;
  child.send(question);
  return (await answer)[0];
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

class Times {
  readonly #all: number[] = [];

  add(more: readonly number[]): void {
    for (const time of more) this.#all.push(time);
  }

  at(share: number): number {
    this.#all.sort((a, b) => a - b);
    return this.#all[Math.floor(this.#all.length * share)] ?? 0;
  }

  toString(): string {
    const figures = [0.5, 0.9, 0.99].map((share) => this.at(share).toFixed(2));
    return `${figures.join(" / ")} ms of ${this.#all.length}`;
  }
}

test(`${TRIES} wrong tokens: none is let in, and good clients are served meanwhile`, {
  timeout: 240_000 + TRIES * 5,
}, async () => {
  const good = start("good-main.ts", { SLOTS_TEST_TOKEN: server.adminToken });
  const attacker = start("flood-main.ts");
  const measured = () => ask<{ times: number[]; failures: string[] }>(good, "told");
  await waitFor("a good client that is warm", async () => {
    await pause(500);
    return (await measured()).times.length >= 50;
  });

  const codes: Record<string, number> = {};
  const flood = async (tries: number) => {
    const answers = await ask<Record<string, number>>(attacker, tries);
    for (const [code, count] of Object.entries(answers)) codes[code] = (codes[code] ?? 0) + count;
  };
  await flood(WARM_UP);
  await measured();

  const idle = new Times();
  const flooded = new Times();
  let took = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await pause(QUIET_MS);
    const quiet = await measured();
    idle.add(quiet.times);
    const from = performance.now();
    await flood(TRIES / ROUNDS);
    took += performance.now() - from;
    const busy = await measured();
    flooded.add(busy.times);
    expect([...quiet.failures, ...busy.failures]).toEqual([]);
  }

  expect(Object.keys(codes).sort()).toEqual(["RESOURCE_EXHAUSTED", "UNAUTHENTICATED"]);
  expect((codes.RESOURCE_EXHAUSTED ?? 0) + (codes.UNAUTHENTICATED ?? 0)).toBe(TRIES + WARM_UP);
  console.log(
    `${JSON.stringify(codes)} at ${((TRIES / took) * 1000).toFixed(0)} a second; a good client's p50 / p90 / p99: ` +
      `${idle} calls idle, ${flooded} meanwhile; p99 ${(flooded.at(0.99) / idle.at(0.99)).toFixed(1)} times`,
  );
  // The figure above is what counts; this only says that it was served at all, on any machine.
  expect(flooded.at(0.99)).toBeLessThan(20_000);
  // Strangers can't fill the disk: all of them are counted, in a few records.
  const refusals = () => auditLines(join(server.dataDir, "audit")).filter(({ kind }) => kind === "refusals");
  const counted = () => refusals().reduce((sum, { count = 0 }) => sum + count, 0);
  await waitFor("all to be counted", () => counted() === TRIES + WARM_UP);
  expect(refusals().length).toBeLessThan(100 + (took + ROUNDS * QUIET_MS) / 100);
});

test("a connection of wrong tokens alone may have few calls at once, until a good one comes on it", async () => {
  const session = connect(`http://${server.address}`);
  const call = (token: string) => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/secretslots.v1.SecretService/WatchSecret",
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${token}`,
    });
    stream.on("error", () => {});
    // WatchSecret of "db".
    stream.end(Buffer.from([0, 0, 0, 0, 4, 0x0a, 2, 0x64, 0x62]));
    return stream;
  };
  const most = () => session.remoteSettings.maxConcurrentStreams;
  await waitFor("the server's settings", () => most() === 1000);

  const wrong = Array.from({ length: 300 }, () => call(generateToken()).resume());
  await waitFor("a bound on that connection", async () => {
    wrong.push(call(generateToken()).resume());
    await pause(10);
    return most() === 10;
  });
  // Those that came while it was told are refused as HTTP/2 does it; its clients try them again.
  await waitFor("an answer to each", () => wrong.every(({ closed }) => closed));

  // A proxy may share one connection among good and bad callers.
  const watches = Array.from({ length: 50 }, () => call(server.adminToken));
  await Promise.all(watches.map((watch) => once(watch, "data")));
  expect(most()).toBe(1000);
  session.destroy();
});
