import { afterEach, expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { generateToken } from "../../src/crypto/tokens.ts";
import { FLAG, FRAME, frame, headerBlock, RawHttp2 } from "../guarantees/support/raw-http2.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, Wire, type WireError } from "../support/wire.ts";
import { applyPolicies, grant } from "./rights.ts";

/** Each bound at the door, set low: who goes over it is told RESOURCE_EXHAUSTED and when to come again, others get in. */
const started: ServerProcess[] = [];
const wires: Wire[] = [];

afterEach(async () => {
  for (const wire of wires.splice(0)) wire.close();
  for (const server of started.splice(0)) await server.dispose();
});

async function start(...args: string[]) {
  const server = await ServerProcess.start({ args });
  started.push(server);
  const connect = (token?: string) => {
    const wire = new Wire(server.address, token);
    wires.push(wire);
    return wire;
  };
  return { server, connect, admin: connect(server.adminToken) };
}

const whoAmI = (wire: Wire) => wire.call(AdminService.method.whoAmI, {});

function expectRefusal(error: WireError, reason: string): void {
  expect([error.code, error.reason]).toEqual(["RESOURCE_EXHAUSTED", reason]);
  expect(error.retryAfterMs).toBeGreaterThan(0);
}

test("--max-watches-per-identity, and a watch that ended makes room", async () => {
  const { connect, admin } = await start("--max-watches-per-identity", "3");
  await admin.put("a", 0n, "v");
  await applyPolicies(admin, [grant("all", "token:other", ["watch"], ["*"])]);
  const other = connect((await admin.createToken("other")).token);
  const streams = [admin.watch("a"), admin.watch("a"), admin.watchSlots(["a"])];
  for (const stream of streams) await stream.take();
  expectRefusal(await failure(admin.watch("a").take()), "TOO_MANY_WATCHES");
  expectRefusal(await failure(admin.watchSlots(["a"]).take()), "TOO_MANY_WATCHES");
  // Neither its calls nor another's watches are held back.
  await admin.get("a");
  await other.watch("a").take();
  streams[0]?.cancel();
  await waitFor("room for one more", () =>
    admin
      .watch("a")
      .take()
      .then(
        () => true,
        () => false,
      ),
  );
});

test("--max-streams-per-connection: a peer that goes on over what it was told is refused each stream", async () => {
  const { server, connect } = await start("--max-streams-per-connection", "3");
  const raw = await RawHttp2.open(server.address);
  const received: Buffer[] = [];
  raw.socket.on("data", (chunk: Buffer) => received.push(chunk));
  const block = headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": "/secretslots.v1.SecretService/GetSecret",
    ":authority": "localhost",
    "content-type": "application/grpc",
  });
  // None of them is ever finished, so all stay open.
  for (let stream = 1; stream <= 9; stream += 2) {
    await raw.send(frame(FRAME.headers, FLAG.endHeaders, stream, block));
  }
  const REFUSED_STREAM = Buffer.from([0, 0, 0, 7]);
  for (const stream of [7, 9]) {
    const refusal = frame(FRAME.rst, 0, stream, REFUSED_STREAM);
    await waitFor(`stream ${stream} refused`, () => Buffer.concat(received).includes(refusal));
  }
  expect(Buffer.concat(received).includes(frame(FRAME.rst, 0, 5, REFUSED_STREAM))).toBe(false);
  raw.close();
  await whoAmI(connect(server.adminToken));
});

test("--max-calls-per-identity", async () => {
  const { connect, admin } = await start("--max-calls-per-identity", "2");
  const other = connect((await admin.createToken("other")).token);
  // Two calls that go on for as long as they are let.
  const follows = [1, 2].map(() => admin.stream(AdminService.method.searchAudit, { follow: true }));
  for (const follow of follows) await follow.take();
  expectRefusal(await failure(admin.get("a")), "TOO_MANY_CALLS");
  await whoAmI(other);
  for (const follow of follows) follow.cancel();
  await waitFor("room", () =>
    whoAmI(admin).then(
      () => true,
      () => false,
    ),
  );
});

test("--max-connections-per-address: those that are open go on", async () => {
  const { server, connect, admin } = await start("--max-connections-per-address", "3");
  await admin.put("a", 0n, "v");
  const open = [admin, connect(server.adminToken), connect(server.adminToken)];
  for (const wire of open) await whoAmI(wire);
  // More than are told: what is over that is cut, and a client takes that for UNAVAILABLE.
  const late = Array.from({ length: 30 }, () => connect(server.adminToken));
  const errors = await Promise.all(late.map((wire) => failure(wire.get("a"))));
  const told = errors.filter(({ code }) => code !== "UNAVAILABLE");
  expect(told.length).toBeGreaterThan(0);
  for (const error of told) expectRefusal(error, "TOO_MANY_CONNECTIONS");
  for (const wire of open) await wire.get("a");
  for (const wire of [...late, open.pop()]) wire?.close();
  const next = await waitFor("a place to be free", async () => {
    const wire = connect(server.adminToken);
    const there = await whoAmI(wire).then(
      () => wire,
      () => undefined,
    );
    if (there === undefined) wire.close();
    return there;
  });
  await next.get("a");
});

test("--failed-logins-burst and --failed-logins-per-second, which hold back no good token", async () => {
  const { connect, admin } = await start("--failed-logins-burst", "5", "--failed-logins-per-second", "1");
  const stranger = connect(generateToken());
  const flood = () => Promise.all(Array.from({ length: 20 }, () => failure(whoAmI(stranger))));
  const errors = await flood();
  const refused = errors.filter(({ code }) => code !== "UNAUTHENTICATED");
  expect(errors.length - refused.length).toBeGreaterThanOrEqual(5);
  expect(refused.length).toBeGreaterThan(0);
  for (const error of refused) {
    expectRefusal(error, "TOO_MANY_FAILED_LOGINS");
    expect(error.retryAfterMs).toBeLessThanOrEqual(1000);
  }
  await whoAmI(admin);
  // A proof that is costly to check is not even looked at meanwhile.
  const costly = connect("a.b.c");
  const unseen = await waitFor("a refusal without a look", async () => {
    await flood();
    const error = await failure(whoAmI(costly));
    return error.code === "UNAUTHENTICATED" ? undefined : error;
  });
  expectRefusal(unseen, "TOO_MANY_FAILED_LOGINS");
  await waitFor("a try to be free again", async () => {
    return (await failure(whoAmI(stranger))).code === "UNAUTHENTICATED";
  });
});
