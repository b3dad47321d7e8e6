import { generateKeyPairSync } from "node:crypto";
import { credentials } from "@grpc/grpc-js";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Action, AdminService, IdentityMethod } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, text, Wire, type WireStream } from "../support/wire.ts";
import { folder } from "../tls/door.ts";
import * as pki from "../tls/pki.ts";
import { dns, type Made, uri } from "../tls/pki.ts";

/** Identities as a whole server sees them: TLS, certificates and JWTs, from the settings to the answer. */
const ISSUER = "https://issuer.example";
const signer = generateKeyPairSync("ec", { namedCurve: "P-256" });
const home = folder();
const wires: Wire[] = [];
const streams: WireStream<unknown>[] = [];
let server: ServerProcess;
let root: Made;
let pay: Made;
let shop: Made;
let unmapped: Made;
let admin: Wire;

beforeAll(async () => {
  root = await pki.authority();
  const own = await pki.server(root);
  pay = await pki.make({ issuer: root, names: uri("spiffe://prod/pay") });
  shop = await pki.make({ issuer: root, names: uri("spiffe://prod/shop") });
  unmapped = await pki.make({ issuer: root, names: dns("a.example", "b.example") });
  const jwk = { ...signer.publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256" };
  const jwks = home.write("jwks.json", JSON.stringify({ keys: [jwk] }));
  const issuer = { issuer: ISSUER, audiences: ["slots"], jwks: { file: jwks }, groupsClaim: "groups" };
  server = await ServerProcess.start({
    args: [
      ...["--tls-cert", home.write("server.crt", own.pem)],
      ...["--tls-key", home.write("server.key", own.keyPem)],
      ...["--tls-client-ca", home.write("ca.crt", root.pem)],
      ...["--tls-crl", home.write("ca.crl", await pki.crl(root))],
      // JSON is YAML.
      ...["--jwt-issuers", home.write("issuers.yaml", JSON.stringify({ issuers: [issuer] }))],
    ],
  });
  admin = wire(undefined, server.adminToken);
  await admin.put("pay/db", 0n, "secret");
  const bound = (name: string, actions: Action[], to: { principals?: string[]; groups?: string[] }) => ({
    name,
    rules: [{ actions, names: ["pay/*"] }],
    ...to,
  });
  await admin.call(AdminService.method.applyPolicies, {
    policies: [
      bound("pay", [Action.READ, Action.WATCH], { principals: ["spiffe://prod/pay"] }),
      bound("people", [Action.READ, Action.WATCH], { groups: ["payments"] }),
      bound("shop", [Action.WATCH], { principals: ["spiffe://prod/shop"] }),
    ],
  });
});

afterAll(async () => {
  for (const stream of streams) stream.cancel();
  for (const one of wires) one.close();
  await server?.dispose();
  home.remove();
});

function wire(certificate?: Made, token?: string): Wire {
  const channel = credentials.createSsl(
    Buffer.from(root.pem),
    certificate ? Buffer.from(certificate.keyPem) : null,
    certificate ? Buffer.from(certificate.pem) : null,
  );
  const made = new Wire(server.address, token, channel, { "grpc.ssl_target_name_override": "localhost" });
  wires.push(made);
  return made;
}

function jwt(claims: Record<string, unknown> = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ iss: ISSUER, aud: "slots", sub: "ann", exp: now + 600, ...claims })
    .setProtectedHeader({ alg: "ES256", kid: "one" })
    .sign(signer.privateKey);
}

const whoami = (of: Wire) => of.call(AdminService.method.whoAmI, {});

describe("a call over TLS comes from", () => {
  test("a token's principal, without a certificate", async () => {
    expect(await whoami(admin)).toMatchObject({ principal: "token:admin", method: IdentityMethod.TOKEN });
  });

  test("a certificate's principal, without a token", async () => {
    const me = await whoami(wire(pay));
    expect(me).toMatchObject({ principal: "spiffe://prod/pay", method: IdentityMethod.CERTIFICATE });
    expect(me.policies).toContain("pay");
    expect(Number(me.expireTime?.seconds) * 1000).toBe(pay.certificate.notAfter.getTime());
  });

  test("a JWT's principal with its groups", async () => {
    const me = await whoami(wire(undefined, await jwt({ groups: ["payments"] })));
    expect(me).toMatchObject({ principal: "jwt:ann", method: IdentityMethod.JWT, groups: ["payments"] });
    expect(me.policies).toContain("people");
  });

  test("a token's principal, over a certificate that names nobody", async () => {
    expect(await whoami(wire(unmapped, server.adminToken))).toMatchObject({ principal: "token:admin" });
  });

  test("nobody: with two identities, with none, or with a bad one", async () => {
    const forged = (await jwt()).slice(0, -6).concat("AAAAAA");
    const callers = [
      wire(pay, server.adminToken),
      wire(pay, await jwt()),
      wire(),
      wire(unmapped),
      wire(undefined, forged),
      wire(undefined, await jwt({ aud: "others" })),
      wire(undefined, "a.b.c"),
    ];
    for (const caller of callers) {
      const error = await failure(whoami(caller));
      expect([error.code, error.reason]).toEqual(["UNAUTHENTICATED", "UNAUTHENTICATED"]);
    }
    const stranger = await pki.make({ issuer: await pki.authority(), names: uri("spiffe://prod/pay") });
    expect((await failure(whoami(wire(stranger, server.adminToken)))).code).toBe("UNAVAILABLE");
  });
});

test("rights go by the principal or the group, and without them there and missing look the same", async () => {
  expect(text((await wire(pay).get("pay/db")).value)).toBe("secret");
  expect(text((await wire(undefined, await jwt({ groups: ["payments"] })).get("pay/db")).value)).toBe(
    "secret",
  );
  for (const caller of [wire(shop), wire(undefined, await jwt({ groups: ["others"] }))]) {
    const [there, missing] = [await failure(caller.get("pay/db")), await failure(caller.get("pay/none"))];
    expect(there.code).toBe("PERMISSION_DENIED");
    expect([missing.code, missing.message]).toEqual([there.code, there.message]);
  }
});

/** Reads a watch to its end while rotations go on; gives what it ended with and the last slot that it told. */
async function watchToTheEnd(of: Wire, end: () => Promise<unknown> | unknown) {
  const stream = of.watch("pay/db");
  streams.push(stream);
  await stream.take();
  const before = await admin.put("pay/db", BigInt(Date.now()), "before");
  await stream.take();
  await end();
  for (;;) {
    const outcome = await stream.take().catch((error: unknown) => error);
    if (outcome instanceof Error) return { outcome, before };
  }
}

describe("an open watch ends UNAUTHENTICATED (W12)", () => {
  test("when its certificate is revoked, and another's goes on", async () => {
    const others = wire(shop).watch("pay/db");
    streams.push(others);
    await others.take();
    let from = 0;
    const victim = wire(pay);
    const { outcome } = await watchToTheEnd(victim, async () => {
      const list = await pki.crl(root, { revoked: [pay] });
      from = performance.now();
      home.write("ca.crl", list);
    });
    console.log(`ended ${(performance.now() - from).toFixed(0)} ms after the list was there`);
    expect(outcome).toMatchObject({ code: "UNAUTHENTICATED" });
    expect((await failure(victim.get("pay/db"))).code).toBe("UNAUTHENTICATED");
    expect((await failure(wire(pay).get("pay/db"))).code).toBe("UNAVAILABLE");
    const put = await admin.put("pay/db", BigInt(Date.now()) + 1n, "after");
    await waitFor("the other watch to see it", async () => (await others.take()).revision === put.revision);
    expect(server.output).toContain("lost the trust");
  });

  test("when its JWT ends", async () => {
    const exp = Math.floor(Date.now() / 1000) + 10;
    const { outcome } = await watchToTheEnd(
      wire(undefined, await jwt({ groups: ["payments"], exp })),
      () => {},
    );
    expect(outcome).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(Date.now()).toBeGreaterThanOrEqual(exp * 1000);
  });
});

test("SIGHUP reads the files again, and nothing of a token is in what the server prints", async () => {
  const next = await pki.server(root);
  home.write("server.key", next.keyPem);
  home.write("server.crt", next.pem);
  server.child.kill("SIGHUP");
  await waitFor("the new certificate", () =>
    server.output.includes(next.certificate.serialNumber.toUpperCase()),
  );
  expect(await whoami(wire(undefined, server.adminToken))).toMatchObject({ principal: "token:admin" });
  expect(server.output).not.toMatch(/eyJ|sst_/);
});
