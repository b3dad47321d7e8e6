import { create, toBinary } from "@bufbuild/protobuf";
import { GetSecretRequestSchema, SecretService } from "../gen/ts/secretslots/v1/secret_service_pb.ts";
import { memoryOf } from "../test/support/processes.ts";
import type { ServerProcess } from "../test/support/server-process.ts";
import { Wire } from "../test/support/wire.ts";
import { hasH2load, load } from "./h2load.ts";
import { nameAt } from "./large-store.ts";
import { cpuOf } from "./process.ts";
import { type ReadingResult, readNames } from "./random-reads.ts";
import type { Figure, Plan } from "./scenario.ts";
import { startServer } from "./server.ts";
import { percentile, shown, spread } from "./statistics.ts";

/** Secrets of the small store. */
export const FEW = 1000;
/** The reserve of the audit log as it is by default; test servers have a small one. */
export const DEFAULTS = ["--audit-reserve-bytes", String(64 * 2 ** 20)];
const PAGE = 100;
/** More secrets than the default of --cache-bytes has room for. */
const KEPT_AT_MOST = 30_000;

export function randomName(secrets: number): () => string {
  return () => nameAt(Math.floor(Math.random() * secrets));
}

/** Reads, lists and a watch of a server over many secrets, beside one over a few. */
export async function readsOfMany(plan: Plan, few: string, large: string, many: number): Promise<Figure[]> {
  const servers = {
    few: await startServer(plan, { dataDir: few, args: DEFAULTS }),
    many: await startServer(plan, { dataDir: large, args: DEFAULTS }),
  };
  try {
    const lists = await lengthsOfPages(plan, servers.many, many);
    return [
      ...(await warm(plan, servers.few, servers.many)),
      ...(await random(plan, servers.few, servers.many, many)),
      ...lists,
      await watched(plan, servers.many, many),
    ];
  } finally {
    await Promise.all([servers.few.stop(), servers.many.stop()]);
  }
}

/** One secret, again and again. */
async function warm(plan: Plan, few: ServerProcess, many: ServerProcess): Promise<Figure[]> {
  if (!hasH2load()) {
    console.log("!!!!!! warm reads are not measured: h2load is missing (Debian: nghttp2-client)");
    return [];
  }
  const rate = (server: ServerProcess) =>
    load({
      ...{ connections: 8, streams: 16, seconds: plan.seconds },
      ...{ address: server.address, token: server.adminToken },
      path: "/secretslots.v1.SecretService/GetSecret",
      message: toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { name: nameAt(0) })),
    });
  const rates: { few: number; many: number }[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    rates.push({ few: await rate(few), many: await rate(many) });
  }
  const ratios = rates.map((round) => round.many / round.few);
  return [
    {
      name: "GetSecret of one secret among many",
      unit: "calls/s",
      value: spread(rates.map((round) => round.many)),
    },
    {
      name: `GetSecret of one secret, many : ${shown(FEW)}`,
      unit: "",
      value: spread(ratios),
      must: ">= 0.85",
      aim: ">= 0.95",
    },
  ];
}

/** Another secret with each call: nearly none of what is asked for is kept in memory. */
async function random(
  plan: Plan,
  few: ServerProcess,
  many: ServerProcess,
  secrets: number,
): Promise<Figure[]> {
  const read = async (server: ServerProcess, of: number, seconds: number) => {
    const { address, adminToken: token } = server;
    const before = cpuOf(server.child.pid);
    const until = performance.now() + seconds * 1000;
    const result = await readNames({
      address,
      token,
      name: randomName(of),
      connections: 8,
      streams: 16,
      until,
    });
    return { ...result, cost: ((cpuOf(server.child.pid) - before) * 1000) / result.took.length };
  };
  const rounds: { few: ReadingResult & { cost: number }; many: ReadingResult & { cost: number } }[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    rounds.push({ few: await read(few, FEW, plan.seconds), many: await read(many, secrets, plan.seconds) });
  }
  // Until what may be kept is kept: the memory that a server comes to.
  const kept = 2 * Math.min(KEPT_AT_MOST, secrets);
  for (let [asked, tries] = [0, 0]; asked < kept && tries < 2 * plan.rounds; tries++) {
    asked += (await read(many, secrets, plan.seconds)).took.length;
  }
  const memory = memoryOf(many.pid) / 2 ** 20;
  const of = (pick: (round: (typeof rounds)[number]) => number) => spread(rounds.map(pick));
  return [
    {
      name: "GetSecret of random secrets among many",
      unit: "calls/s",
      value: of((round) => round.many.rate),
    },
    {
      name: `the same : among ${shown(FEW)}`,
      unit: "",
      value: of((round) => round.many.rate / round.few.rate),
    },
    { name: "its processor time, all threads", unit: "µs/call", value: of((round) => round.many.cost) },
    { name: `the same among ${shown(FEW)}`, unit: "µs/call", value: of((round) => round.few.cost) },
    {
      name: `server memory after them, ${shown(secrets)} secrets`,
      unit: "MB",
      value: spread([memory]),
      must: "<= 400",
      aim: "<= 250",
    },
  ];
}

/** How long a page takes at the beginning and anywhere else. */
async function lengthsOfPages(plan: Plan, server: ServerProcess, secrets: number): Promise<Figure[]> {
  const wire = new Wire(server.address, server.adminToken);
  const page = async (pageToken: string, pageSize = PAGE) => {
    const asked = performance.now();
    const { nextPageToken } = await wire.call(SecretService.method.listSecrets, { pageSize, pageToken });
    return { nextPageToken, took: performance.now() - asked };
  };
  const began = performance.now();
  const tokens: string[] = [];
  for (let token = ""; ; ) {
    token = (await page(token, 1000)).nextPageToken;
    if (token === "") break;
    tokens.push(token);
  }
  const whole = (performance.now() - began) / 1000;
  const rounds: { first: number; deep: number }[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    const [first, deep]: [number[], number[]] = [[], []];
    for (let pair = 0; pair < plan.seconds * 40; pair++) {
      first.push((await page("")).took);
      deep.push((await page(tokens[Math.floor(Math.random() * tokens.length)] ?? "")).took);
    }
    rounds.push({ first: percentile(first, 0.5), deep: percentile(deep, 0.5) });
  }
  wire.close();
  const of = (pick: (round: (typeof rounds)[number]) => number) => spread(rounds.map(pick));
  return [
    { name: `ListSecrets, first page of ${PAGE}`, unit: "ms", value: of((round) => round.first) },
    {
      name: "ListSecrets, a page anywhere : the first",
      unit: "",
      value: of((round) => round.deep / round.first),
      must: "<= 1.5",
      aim: "<= 1.1",
    },
    { name: "all names listed, 1,000 a page", unit: "names/s", value: spread([secrets / whole]) },
  ];
}

/** One watch on one of many. */
async function watched(plan: Plan, server: ServerProcess, secrets: number): Promise<Figure> {
  const [writer, reader] = [0, 1].map(() => new Wire(server.address, server.adminToken)) as [Wire, Wire];
  const name = randomName(secrets)();
  const watch = reader.watch(name);
  await watch.take();
  const late: number[] = [];
  // Seconds: higher than any slot there is, in this run and in one before it.
  const slot = BigInt(Date.now()) * 1000n;
  for (let put = 0n; put < BigInt(plan.rounds * plan.seconds * 10); put++) {
    const began = performance.now();
    const told = watch.take();
    await writer.put(name, slot + put, "v");
    await told;
    late.push(performance.now() - began);
  }
  for (const wire of [writer, reader]) wire.close();
  return { name: "put sent -> its watcher has it, p99", unit: "ms", value: spread([percentile(late, 0.99)]) };
}
