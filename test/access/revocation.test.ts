import { afterAll, beforeAll, expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, Wire, WireError, type WireStream } from "../support/wire.ts";
import { applyPolicies, grant, revokeToken } from "./rights.ts";

/**
 * W12 on two processes of one store, while rotations go on: whatever takes a right away ends the open streams, and
 * nothing that was committed after it is delivered. The promise is 1 s; the bound here only ends a hang.
 */
const BOUND_MS = 5_000;
const NAME = "team/db";

let one: ServerProcess;
let two: ServerProcess;
let admin: Wire;
const wires: Wire[] = [];
const writer = { stop: false, done: Promise.resolve() };

beforeAll(async () => {
  one = await ServerProcess.start();
  two = await ServerProcess.start({ dataDir: one.dataDir });
  admin = wire(one, one.adminToken);
  await admin.put(NAME, 0n, "0");
  writer.done = (async () => {
    for (let slot = 1n; !writer.stop; slot++) {
      await admin.put(NAME, slot, String(slot));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
});

afterAll(async () => {
  writer.stop = true;
  await writer.done;
  for (const each of wires) each.close();
  await two?.kill();
  await one?.dispose();
});

function wire(server: ServerProcess, token: string): Wire {
  const made = new Wire(server.address, token);
  wires.push(made);
  return made;
}

interface Told {
  readonly revision: bigint;
  readonly event: { readonly case: string | undefined; readonly value?: unknown };
}

/** A stream read to its end. */
interface Watcher {
  readonly title: string;
  /** Revisions of the states it told. */
  readonly revisions: bigint[];
  /** When the newest of them was written, Unix milliseconds. */
  newest: number;
  /** How and when it ended. */
  readonly ended: Promise<{ readonly error: unknown; readonly at: number }>;
}

function follow(title: string, stream: WireStream<Told>): Watcher {
  const revisions: bigint[] = [];
  const read = async () => {
    for (;;) {
      try {
        const { revision, event } = await stream.take();
        if (event.case !== "current" && event.case !== "slot") continue;
        revisions.push(revision);
        const { createTime } = event.value as { createTime?: { seconds: bigint; nanos: number } };
        watcher.newest = Number(createTime?.seconds) * 1000 + (createTime?.nanos ?? 0) / 1e6;
      } catch (error) {
        return { error, at: performance.now() };
      }
    }
  };
  const watcher: Watcher = { title, revisions, newest: 0, ended: Promise.resolve().then(read) };
  return watcher;
}

/** Both kinds of watch on both processes, each with news already. */
async function watchEverywhere(token: string): Promise<Watcher[]> {
  const watchers = [one, two].flatMap((server, index) => {
    const of = wire(server, token);
    return [
      follow(`WatchSecret on process ${index + 1}`, of.watch(NAME)),
      follow(`WatchSlots on process ${index + 1}`, of.watchSlots([NAME])),
    ];
  });
  for (const { title, revisions } of watchers) {
    await waitFor(`${title} to have news`, () => revisions.length > 3);
  }
  return watchers;
}

async function endsOf(what: string, watchers: Watcher[], from: number, code: string): Promise<void> {
  const times: string[] = [];
  for (const { title, ended } of watchers) {
    const { error, at } = await ended;
    times.push((at - from).toFixed(0));
    expect(error, title).toBeInstanceOf(WireError);
    expect([title, (error as WireError).code]).toEqual([title, code]);
    expect(at - from).toBeLessThan(BOUND_MS);
  }
  console.log(`${what}: streams ended after ${times.join(", ")} ms`);
}

test("a revoked token ends its streams UNAUTHENTICATED", async () => {
  await applyPolicies(admin, [grant("team", "token:team", ["read", "watch"], ["team/*"])]);
  const { token, tokenId } = await admin.createToken("team");
  const watchers = await watchEverywhere(token);
  const from = performance.now();
  const revision = await revokeToken(admin, tokenId);
  await endsOf("revoked", watchers, from, "UNAUTHENTICATED");
  for (const { title, revisions } of watchers) {
    expect([title, revisions.filter((each) => each > revision)]).toEqual([title, []]);
  }
  for (const server of [one, two]) {
    expect((await failure(wire(server, token).get(NAME))).code).toBe("UNAUTHENTICATED");
  }
});

test("a changed policy ends the streams that lost their grant PERMISSION_DENIED, and no others", async () => {
  const team = grant("team", "token:team", ["read", "watch"], ["team/*"]);
  const rest = grant("rest", "token:rest", ["watch"], ["team/db"]);
  await applyPolicies(admin, [team, rest]);
  const [losing, keeping] = [await admin.createToken("team"), await admin.createToken("rest")];
  const keepers = await watchEverywhere(keeping.token);
  const watchers = await watchEverywhere(losing.token);
  const from = performance.now();
  const without = { ...team, rules: [{ actions: ["read"], names: ["team/*"] }] };
  const { revision } = await applyPolicies(admin, [without, rest]);
  await endsOf("policy edited", watchers, from, "PERMISSION_DENIED");
  for (const { title, revisions } of watchers) {
    expect([title, revisions.filter((each) => each > revision)]).toEqual([title, []]);
  }
  for (const { title, revisions } of keepers) {
    await waitFor(`${title} to go on`, () => (revisions.at(-1) ?? 0n) > revision);
  }
  // Reading was not taken away.
  await wire(two, losing.token).get(NAME);
  const cut = performance.now();
  await revokeToken(admin, keeping.tokenId);
  await endsOf("revoked then", keepers, cut, "UNAUTHENTICATED");
});

/** An auditor's stream, which its own revocation wakes, but its token's end does not. */
async function followAudit(server: ServerProcess, token: string): Promise<Watcher> {
  const { searchAudit } = AdminService.method;
  const stream = wire(server, token).stream(searchAudit, { follow: true, principal: "token:auditor" });
  await stream.take();
  const read = async () => {
    for (;;) {
      const error = await stream.take().catch((thrown: unknown) => thrown);
      if (error instanceof Error) return { error, at: performance.now() };
    }
  };
  return { title: "SearchAudit", revisions: [], newest: 0, ended: read() };
}

test("who follows the audit log is cut off as well", async () => {
  await applyPolicies(admin, [grant("auditor", "token:auditor", ["admin"], ["*"])]);
  const { token, tokenId } = await admin.createToken("auditor");
  const followers = [await followAudit(one, token), await followAudit(two, token)];
  const from = performance.now();
  await revokeToken(admin, tokenId);
  await endsOf("revoked auditor", followers, from, "UNAUTHENTICATED");
});

test("a token that ends ends its streams UNAUTHENTICATED, also when nothing happens", async () => {
  await applyPolicies(admin, [
    grant("team", "token:team", ["read", "watch"], ["team/*"]),
    grant("auditor", "token:auditor", ["admin"], ["*"]),
  ]);
  await admin.put("team/quiet", 0n, "value");
  const expireTime = Date.now() + 12_000;
  const { token } = await admin.createToken("team", expireTime);
  const auditor = await admin.createToken("auditor", expireTime);
  const followers = [await followAudit(one, auditor.token), await followAudit(two, auditor.token)];
  const quiet = [one, two].map((server) => follow("a quiet watch", wire(server, token).watch("team/quiet")));
  const watchers = await watchEverywhere(token);
  const from = performance.now() + (expireTime - Date.now());
  await endsOf("expired", [...watchers, ...quiet, ...followers], from, "UNAUTHENTICATED");
  for (const { title, newest } of watchers) {
    expect(newest, title).toBeGreaterThan(0);
    expect(newest, title).toBeLessThanOrEqual(expireTime);
  }
});
