import { generateKeyPairSync } from "node:crypto";
import type { DescMethod, DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { credentials } from "@grpc/grpc-js";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Action, AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { REQUIRED_ACTION } from "../../src/core/required-action.ts";
import { generateToken } from "../../src/crypto/tokens.ts";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";
import { failure, Wire, WireError } from "../support/wire.ts";
import { folder } from "../tls/door.ts";
import * as pki from "../tls/pki.ts";
import { type Made, uri } from "../tls/pki.ts";
import { ACTIONS, type ActionName, applyPolicies, grant, revokeToken } from "./rights.ts";

/** Every RPC, with what it needs and how it ends for who may do it. The requests change nothing. */
interface Row {
  /** `identity`: any identity will do. `anywhere`: the action on any name at all. */
  readonly needs: ActionName | "identity" | "list anywhere";
  readonly request: (name: string) => object;
  /** For a secret that is there, and for one that is not. */
  readonly there: string;
  readonly missing: string;
}

const named = (name: string) => ({ name });
const ofSlot = (name: string) => ({ name, slot: 99n });
const ok = { there: "OK", missing: "OK" };
const found = { there: "OK", missing: "NOT_FOUND" };
const never = { there: "NOT_FOUND", missing: "NOT_FOUND" };
const admin = { needs: "admin", request: () => ({}) } as const;
const STALE_ETAG = '"0.1"';

const ROWS: Readonly<Record<string, Row>> = {
  "SecretService.GetSecret": { needs: "read", request: named, ...found },
  "SecretService.GetEffectiveAt": { needs: "read", request: (name) => ({ name, at: 5n }), ...found },
  "SecretService.PutSlot": {
    needs: "write",
    request: (name) => ({ name, slot: 1n, value: new Uint8Array([1]), expectedRevision: 1n << 40n }),
    there: "ABORTED",
    missing: "ABORTED",
  },
  "SecretService.WatchSecret": { needs: "watch", request: named, ...found },
  "SecretService.WatchSlots": { needs: "watch", request: (name) => ({ names: [name] }), ...found },
  "SecretService.ListSecrets": { needs: "list anywhere", request: (name) => ({ prefix: name }), ...ok },
  "SecretService.DescribeSecret": { needs: "list", request: named, ...found },
  "SecretService.ListSlots": { needs: "list", request: named, ...found },
  "SecretService.UpdateSecret": {
    needs: "manage",
    request: (name) => ({ name, comment: "no", updateMask: { paths: ["comment"] }, etag: STALE_ETAG }),
    there: "ABORTED",
    missing: "NOT_FOUND",
  },
  "SecretService.DisableSlot": { needs: "manage", request: ofSlot, ...never },
  "SecretService.EnableSlot": { needs: "manage", request: ofSlot, ...never },
  "SecretService.DestroySlot": { needs: "manage", request: ofSlot, ...never },
  "SecretService.DeleteSecret": {
    needs: "manage",
    request: (name) => ({ name, etag: STALE_ETAG }),
    there: "ABORTED",
    missing: "NOT_FOUND",
  },
  "SecretService.GetServerInfo": { needs: "identity", request: () => ({}), ...ok },
  "AdminService.WhoAmI": { needs: "identity", request: () => ({}), ...ok },
  // About oneself; about others it is tested below.
  "AdminService.CheckAccess": {
    needs: "identity",
    request: (name) => ({ action: Action.READ, name }),
    ...ok,
  },
  "AdminService.CreateToken": { ...admin, request: () => ({ principal: "matrix" }), ...ok },
  "AdminService.ListTokens": { ...admin, ...ok },
  "AdminService.RevokeToken": { ...admin, request: () => ({ tokenId: "none" }), ...never },
  "AdminService.ListPolicies": { ...admin, ...ok },
  "AdminService.ApplyPolicies": { ...admin, request: () => ({ dryRun: true }), ...ok },
  "AdminService.ListMasterKeys": { ...admin, ...ok },
  "AdminService.RotateMasterKey": { ...admin, there: "FAILED_PRECONDITION", missing: "FAILED_PRECONDITION" },
  "AdminService.RetireMasterKey": { ...admin, request: () => ({ keyId: "none" }), ...never },
  "AdminService.CreateBackup": { ...admin, ...ok },
  "AdminService.SearchAudit": { ...admin, request: () => ({ limit: 1 }), ...ok },
};

const METHODS = new Map<string, DescMethod>(
  [SecretService, AdminService].flatMap((service) =>
    service.methods.map((method) => [`${service.name}.${method.name}`, method] as const),
  ),
);

/** `team/b` is there and only a prefix covers it; `teams` begins like `team/` and isn't below it. */
const NAMES = ["team/a", "team/b", "team/none", "teams", "other/x"] as const;
const THERE: readonly string[] = ["team/a", "team/b", "teams", "other/x"];

interface Caller {
  readonly title: string;
  readonly wire: Wire;
  /** Undefined: it proves nothing. */
  readonly may: ((action: string, name: string) => boolean) | undefined;
}

const ISSUER = "https://issuer.example";
const signer = generateKeyPairSync("ec", { namedCurve: "P-256" });
const home = folder();
const callers: Caller[] = [];
let server: ServerProcess;
let root: Made;

beforeAll(async () => {
  root = await pki.authority();
  const own = await pki.server(root);
  const certificate = await pki.make({ issuer: root, names: uri("spiffe://prod/pay") });
  const jwk = { ...signer.publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256" };
  const jwks = home.write("jwks.json", JSON.stringify({ keys: [jwk] }));
  const issuer = { issuer: ISSUER, audiences: ["slots"], jwks: { file: jwks }, groupsClaim: "groups" };
  server = await ServerProcess.start({
    args: [
      ...["--tls-cert", home.write("server.crt", own.pem)],
      ...["--tls-key", home.write("server.key", own.keyPem)],
      ...["--tls-client-ca", home.write("ca.crt", root.pem)],
      ...["--jwt-issuers", home.write("issuers.yaml", JSON.stringify({ issuers: [issuer] }))],
      // Here every wrong proof must be told what it is.
      ...["--failed-logins-burst", "1000000"],
    ],
  });
  const boss = wire(undefined, server.adminToken);
  for (const name of THERE) await boss.put(name, 0n, `value of ${name}`);

  const policies = [
    grant("by-certificate", "spiffe://prod/pay", ["list", "manage"], ["team/*"]),
    { ...grant("by-group", "jwt:", ["read", "watch"], ["team/*"]), principals: [], groups: ["team"] },
  ];
  for (const action of ACTIONS) {
    const grants = { exact: "team/a", prefix: "team/*", "another prefix": "other/*" };
    for (const [kind, pattern] of Object.entries(grants)) {
      const principal = `token:${action}-${kind.replace(" ", "-")}`;
      policies.push(grant(principal.slice(6), principal, [action], [pattern]));
      const covers = (name: string) =>
        pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
      callers.push({
        title: `a token that may ${action}, by ${kind}`,
        wire: wire(undefined, (await boss.createToken(principal)).token),
        may: (wanted, name) => wanted === action && covers(name),
      });
    }
  }
  await applyPolicies(boss, policies);

  const revoked = await boss.createToken("token:admin");
  await revokeToken(boss, revoked.tokenId);
  const expired = wire(undefined, (await boss.createToken("token:admin", Date.now() + 1000)).token);
  await waitFor("a token to end", () =>
    whoAmI(expired).then(
      () => false as const,
      () => true as const,
    ),
  );
  const now = Math.floor(Date.now() / 1000);
  const jwt = (claims: object) =>
    new SignJWT({ iss: ISSUER, aud: "slots", sub: "ann", exp: now + 3600, groups: ["team"], ...claims })
      .setProtectedHeader({ alg: "ES256", kid: "one" })
      .sign(signer.privateKey);
  const inTeam = (actions: string[]) => (action: string, name: string) =>
    actions.includes(action) && name.startsWith("team/");
  callers.push(
    { title: "nobody", wire: wire(), may: undefined },
    { title: "an unknown token", wire: wire(undefined, generateToken()), may: undefined },
    { title: "a thing that is no token", wire: wire(undefined, "sst_wrong"), may: undefined },
    { title: "a revoked token", wire: wire(undefined, revoked.token), may: undefined },
    { title: "an expired token", wire: expired, may: undefined },
    { title: "an expired JWT", wire: wire(undefined, await jwt({ exp: now - 60 })), may: undefined },
    { title: "a token and a certificate", wire: wire(certificate, server.adminToken), may: undefined },
    {
      title: "a token without a policy",
      wire: wire(undefined, (await boss.createToken("idle")).token),
      may: () => false,
    },
    { title: "a JWT by its group", wire: wire(undefined, await jwt({})), may: inTeam(["read", "watch"]) },
    { title: "a JWT without a group", wire: wire(undefined, await jwt({ groups: [] })), may: () => false },
    { title: "a client certificate", wire: wire(certificate), may: inTeam(["list", "manage"]) },
    { title: "the admin token", wire: boss, may: () => true },
  );
});

afterAll(async () => {
  for (const caller of callers) caller.wire.close();
  await server?.dispose();
  home.remove();
});

function wire(certificate?: Made, token?: string): Wire {
  const channel = credentials.createSsl(
    Buffer.from(root.pem),
    certificate ? Buffer.from(certificate.keyPem) : null,
    certificate ? Buffer.from(certificate.pem) : null,
  );
  return new Wire(server.address, token, channel, { "grpc.ssl_target_name_override": "localhost" });
}

const whoAmI = (of: Wire) => of.call(AdminService.method.whoAmI, {});

/** How a call ends; of a stream, how it begins. */
async function outcome(of: Wire, method: DescMethod, request: object): Promise<string> {
  try {
    if (method.methodKind === "unary") {
      await of.call(method as DescMethodUnary, request as never);
    } else {
      const stream = of.stream(method as DescMethodServerStreaming, request as never);
      await stream.take().finally(() => stream.cancel());
    }
    return "OK";
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
}

function expected({ may }: Caller, { needs, there, missing }: Row, name: string): string {
  if (may === undefined) return "UNAUTHENTICATED";
  const anywhere = needs === "admin" || needs === "list anywhere";
  const action = needs.split(" ")[0] ?? "";
  const allowed =
    needs === "identity" || (anywhere ? NAMES.some((each) => may(action, each)) : may(action, name));
  if (!allowed) return "PERMISSION_DENIED";
  return THERE.includes(name) ? there : missing;
}

test("every RPC has its row", () => {
  expect(Object.keys(ROWS).sort()).toEqual([...METHODS.keys()].sort());
  const { ServerReflectionInfo: _, ...ours } = REQUIRED_ACTION;
  const needed = Object.entries(ROWS).map(([rpc, { needs }]) => [rpc.split(".")[1], needs.split(" ")[0]]);
  expect(ours).toEqual(Object.fromEntries(needed));
});

describe("for each caller and name the answer is as the table says:", () => {
  test.for([...METHODS])("%s", async ([rpc, method]) => {
    const row = ROWS[rpc];
    if (row === undefined) throw new Error(`${rpc} has no row`);
    for (const caller of callers) {
      const answers = NAMES.map(async (name) => [
        name,
        await outcome(caller.wire, method, row.request(name)),
      ]);
      const wanted = NAMES.map((name) => [name, expected(caller, row, name)]);
      expect(await Promise.all(answers), `${caller.title} calls ${rpc}`).toEqual(wanted);
    }
  });
});

test("bytes that are no message tell a stranger nothing, whatever the RPC", async () => {
  const boss = callers.find(({ title }) => title === "the admin token");
  const nobody = callers.find(({ title }) => title === "nobody");
  if (boss === undefined || nobody === undefined) throw new Error("the callers are not there");
  for (const [rpc, { parent, name, methodKind }] of METHODS) {
    // A field of number 0.
    const broken = new Uint8Array([0x07]);
    if (methodKind !== "unary") continue;
    const known = await failure(boss.wire.raw(parent.typeName, name, broken));
    const unknown = await failure(nobody.wire.raw(parent.typeName, name, broken));
    expect([rpc, known.code, unknown.code]).toEqual([rpc, "INVALID_ARGUMENT", "UNAUTHENTICATED"]);
  }
});

test("about others only who may admin asks; about oneself anyone, also by one's own name", async () => {
  const { checkAccess } = AdminService.method;
  for (const { wire: of, may } of callers) {
    if (may === undefined) continue;
    const me = (await whoAmI(of)).principal;
    const about = { action: Action.READ, name: "team/a" };
    expect(await of.call(checkAccess, { ...about, principal: me })).toMatchObject({
      allowed: may("read", "team/a"),
    });
    const others = await outcome(of, checkAccess, { ...about, principal: "token:somebody" });
    expect([me, others]).toEqual([me, NAMES.some((name) => may("admin", name)) ? "OK" : "PERMISSION_DENIED"]);
  }
});
