import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type JWK, type JWTPayload, SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Principal } from "../../src/domain/access.ts";
import type { JwtIssuer } from "../../src/server/identity/issuer.ts";
import { JwtVerifier, type JwtVerifierOptions } from "../../src/server/identity/jwt.ts";
import { folder, until } from "../tls/door.ts";
import * as pki from "../tls/pki.ts";

const ISSUER = "https://issuer.example";
const AUDIENCE = "secretslots";
const NOW = 1_800_000_000;
const now = () => NOW * 1000;

interface Key {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: JWK;
}

const KINDS: Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }> = {
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ES384: () => generateKeyPairSync("ec", { namedCurve: "P-384" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};

function key(kind: string, kid: string, alg = kind): Key {
  const pair = KINDS[kind]?.() as ReturnType<NonNullable<(typeof KINDS)[string]>>;
  return {
    alg,
    kid,
    privateKey: pair.privateKey,
    jwk: { ...(pair.publicKey.export({ format: "jwk" }) as JWK), kid },
  };
}

const home = folder();
const es = key("ES256", "es");
const es2 = key("ES256", "es2");
const rs = key("RS256", "rs");
const ed = key("EdDSA", "ed");
const stranger = key("ES256", "es");
const set = (...keys: Key[]) => JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
const jwksFile = home.write("jwks.json", set(es, rs, ed, key("ES384", "es384")));

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});
afterAll(() => home.remove());

const log: string[] = [];
function verifier(settings: Partial<JwtIssuer> = {}, options: Partial<JwtVerifierOptions> = {}): JwtVerifier {
  const made = new JwtVerifier({
    issuers: [{ issuer: ISSUER, audiences: [AUDIENCE], jwks: { file: jwksFile }, ...settings }],
    report: (level, message) => log.push(`${level}: ${message}`),
    now,
    ...options,
  });
  open.push(made);
  return made;
}

const CLAIMS: JWTPayload = { iss: ISSUER, aud: AUDIENCE, sub: "ann", exp: NOW + 600, iat: NOW - 5 };

/** Fields that are undefined are left out: that is how a test says that a claim is missing. */
function token(claims: object = {}, by: Key = es, header: object = {}): Promise<string> {
  return new SignJWT(defined({ ...CLAIMS, ...claims }))
    .setProtectedHeader(defined({ alg: by.alg, kid: by.kid, typ: "JWT", ...header }))
    .sign(by.privateKey);
}

function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token made by hand, for what a decent library won't make. */
function raw(header: object, claims: object, signature: (input: string) => Buffer | string): string {
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${Buffer.from(signature(input)).toString("base64url")}`;
}

const es256 = (by: Key) => (input: string) =>
  sign("sha256", Buffer.from(input), { key: by.privateKey, dsaEncoding: "ieee-p1363" });

describe("a bad token is refused", () => {
  const BAD: Record<string, () => string | Promise<string>> = {
    "alg none without a signature": () => raw({ alg: "none", typ: "JWT" }, CLAIMS, () => ""),
    "alg none with a signature": () => raw({ alg: "none", kid: "es" }, CLAIMS, es256(es)),
    "alg None in another spelling": () => raw({ alg: "nOnE", kid: "es" }, CLAIMS, es256(es)),
    "HMAC with the public key as its secret": () =>
      raw({ alg: "HS256", kid: "rs" }, CLAIMS, (input) =>
        createHmac("sha256", rsPublicPem()).update(input).digest(),
      ),
    "HMAC with the public JWK as its secret": () =>
      raw({ alg: "HS256", kid: "rs" }, CLAIMS, (input) =>
        createHmac("sha256", JSON.stringify(rs.jwk)).update(input).digest(),
      ),
    "HMAC with the modulus as its secret": () =>
      raw({ alg: "HS256", kid: "rs" }, CLAIMS, (input) =>
        createHmac("sha256", Buffer.from(String(rs.jwk.n), "base64url"))
          .update(input)
          .digest(),
      ),
    "signed with another key of the same id": () => token({}, stranger),
    "of a key that nobody knows": () => token({}, es2),
    "without key id, by a key that nobody knows": () => token({}, stranger, { kid: undefined }),
    "key sent along in the header": () => raw({ alg: "ES256", jwk: stranger.jwk }, CLAIMS, es256(stranger)),
    "key's address sent along in the header": () =>
      raw({ alg: "ES256", kid: "x", jku: "https://evil.example/jwks" }, CLAIMS, es256(stranger)),
    "RSA key used with an elliptic curve's name": () =>
      raw({ alg: "ES256", kid: "rs" }, CLAIMS, (input) => sign("sha256", Buffer.from(input), rs.privateKey)),
    "of another issuer": () => token({ iss: "https://other.example" }),
    "of an issuer with a slash more": () => token({ iss: `${ISSUER}/` }),
    "without issuer": () => token({ iss: undefined }),
    "for another audience": () => token({ aud: "others" }),
    "for several others": () => token({ aud: ["others", "secretslots-test"] }),
    "without audience": () => token({ aud: undefined }),
    expired: () => token({ exp: NOW - 1 }),
    "expired just now": () => token({ exp: NOW }),
    "without exp": () => token({ exp: undefined }),
    "exp as text": () => raw({ alg: "ES256", kid: "es" }, { ...CLAIMS, exp: String(NOW + 600) }, es256(es)),
    "exp beyond all bounds": () => raw({ alg: "ES256", kid: "es" }, { ...CLAIMS, exp: 1e300 }, es256(es)),
    "not valid yet": () => token({ nbf: NOW + 120 }),
    "issued in the future": () => token({ iat: NOW + 120 }),
    "without subject": () => token({ sub: undefined }),
    "empty subject": () => token({ sub: "" }),
    "subject with a space": () => token({ sub: "ann b" }),
    "subject with a line break": () => token({ sub: "ann\nb" }),
    "subject that is a pattern": () => token({ sub: "*" }),
    "subject beyond ASCII": () => token({ sub: "änn" }),
    "subject too long": () => token({ sub: "a".repeat(600) }),
    "subject as a number": () => raw({ alg: "ES256", kid: "es" }, { ...CLAIMS, sub: 7 }, es256(es)),
    "meant for logging out": () => token({}, es, { typ: "logout+jwt" }),
    "proof of a key's possession": () => token({}, es, { typ: "dpop+jwt" }),
    "bound to a key": () => token({ cnf: { jkt: "x" } }),
    "with an extension that must be understood": () =>
      raw({ alg: "ES256", kid: "es", crit: ["x"], x: 1 }, CLAIMS, es256(es)),
    "payload not encoded": () =>
      raw({ alg: "ES256", kid: "es", b64: false, crit: ["b64"] }, CLAIMS, es256(es)),
    "claims changed after it was signed": async () => {
      const [header, , signature] = (await token()).split(".");
      return `${header}.${part({ ...CLAIMS, sub: "root" })}.${signature}`;
    },
    "signature cut": async () => (await token()).slice(0, -4),
    "signature left out": async () => (await token()).replace(/[^.]+$/, ""),
    "two parts": async () => (await token()).split(".").slice(0, 2).join("."),
    "five parts, as an encrypted one": async () => `${await token()}.a.b`,
    "with padding": async () => `${await token()}=`,
    "claims that are no object": () => raw({ alg: "ES256", kid: "es" }, [1], es256(es)),
    noise: () => "a.b.c",
    "too large": () => token({ filler: "x".repeat(16_000) }),
  };

  test.for(Object.entries(BAD))("%s", async ([, make]) => {
    const jwt = verifier();
    expect(await jwt.verify(await make())).toBeUndefined();
    // The same verifier takes a good one: it is the token that was refused.
    expect(await jwt.verify(await token())).toBeDefined();
  });

  test("by an algorithm that its issuer may not use", async () => {
    const jwt = verifier({ algorithms: ["RS256"] });
    expect(await jwt.verify(await token({}, es))).toBeUndefined();
    expect(await jwt.verify(await token({}, rs))).toBeDefined();
  });

  test("by a symmetric key, even one that is in the key set", async () => {
    const secret = { kty: "oct", kid: "hs", k: Buffer.from("0".repeat(32)).toString("base64url") };
    const file = home.write("oct.json", JSON.stringify({ keys: [es.jwk, secret] }));
    const jwt = verifier({ jwks: { file } });
    const forged = raw({ alg: "HS256", kid: "hs" }, CLAIMS, (input) =>
      createHmac("sha256", "0".repeat(32)).update(input).digest(),
    );
    expect(await jwt.verify(forged)).toBeUndefined();
    expect(await jwt.verify(await token())).toBeDefined();
    expect(() =>
      verifier({ jwks: { file: home.write("only.json", JSON.stringify({ keys: [secret] })) } }),
    ).toThrow("it holds no public key");
  });

  test("of one issuer with another's key", async () => {
    const mine = home.write("mine.json", set(es2));
    const settings = { audiences: [AUDIENCE] };
    const jwt = verifier(
      {},
      {
        issuers: [
          { ...settings, issuer: ISSUER, jwks: { file: mine }, principalPrefix: "jwt:a:" },
          { ...settings, issuer: "https://b.example", jwks: { file: jwksFile }, principalPrefix: "jwt:b:" },
        ],
      },
    );
    expect(await jwt.verify(await token({}, es))).toBeUndefined();
    expect(await jwt.verify(await token({ iss: "https://b.example" }, es2))).toBeUndefined();
    expect(await jwt.verify(await token({}, es2))).toMatchObject({ name: "jwt:a:ann" });
    expect(await jwt.verify(await token({ iss: "https://b.example" }, es))).toMatchObject({
      name: "jwt:b:ann",
    });
  });
});

describe("a good token", () => {
  test.for([
    ["ES256", es],
    ["RS256", rs],
    ["PS256", { ...rs, alg: "PS256" }],
    ["EdDSA", ed],
    ["Ed25519", { ...ed, alg: "Ed25519" }],
  ] as const)("signed with %s gives its principal", async ([, by]) => {
    const expected: Principal = {
      name: "jwt:ann",
      groups: [],
      method: "jwt",
      proofId: "id-7",
      expireTime: (NOW + 600) * 1000,
    };
    expect(await verifier().verify(await token({ jti: "id-7" }, by))).toEqual(expected);
  });

  test("may come without key id, type or issue time, and from a clock a little ahead", async () => {
    const jwt = verifier();
    for (const header of [
      { kid: undefined },
      { typ: undefined },
      { typ: "at+jwt" },
      { typ: "application/at+JWT" },
    ]) {
      expect(await jwt.verify(await token({}, es, header))).toBeDefined();
    }
    expect(await jwt.verify(await token({ iat: undefined }))).toBeDefined();
    expect(await jwt.verify(await token({ iat: NOW + 20, nbf: NOW + 20 }))).toBeDefined();
    expect(await jwt.verify(await token({ aud: ["others", AUDIENCE] }))).toBeDefined();
  });

  test("without key id is tried with each key that fits", async () => {
    const file = home.write("two.json", set(stranger, es));
    expect(await verifier({ jwks: { file } }).verify(await token({}, es, { kid: undefined }))).toBeDefined();
  });

  test("is named by a part of its hash when it has no id that can be shown", async () => {
    const jwt = verifier();
    for (const jti of [undefined, "", "has space", "x".repeat(200)]) {
      expect((await jwt.verify(await token({ jti })))?.proofId).toMatch(/^[A-Za-z0-9_-]{16}$/);
    }
  });

  test.for<[string, JWTPayload, readonly string[]]>([
    ["groups", { groups: ["ops", "dev", "ops"] }, ["ops", "dev"]],
    ["groups", { groups: "ops" }, ["ops"]],
    ["groups", { groups: ["ops", 7, null, "", "two words", "x".repeat(200), { a: 1 }] }, ["ops"]],
    ["groups", { groups: { ops: true } }, []],
    ["groups", {}, []],
    ["https://example.com/groups", { "https://example.com/groups": ["ops"] }, ["ops"]],
    ["realm/roles", { realm: { roles: ["ops"] } }, ["ops"]],
    ["realm/roles/x", { realm: { roles: ["ops"] } }, []],
    ["__proto__/x", {}, []],
    ["constructor", {}, []],
  ])("has the groups of claim %s in %j", async ([groupsClaim, claims, groups]) => {
    expect((await verifier({ groupsClaim }).verify(await token(claims)))?.groups).toEqual(groups);
  });

  test("of a Kubernetes service account", async () => {
    const jwt = verifier({
      issuer: "https://kubernetes.default.svc.cluster.local",
      principalPrefix: "jwt:k8s:",
      groupsClaim: "kubernetes.io/namespace",
      groupPrefix: "namespace:",
    });
    const claims = {
      iss: "https://kubernetes.default.svc.cluster.local",
      aud: [AUDIENCE],
      iat: NOW - 100,
      nbf: NOW - 100,
      exp: NOW + 3500,
      jti: "0b8a4f0e-7f0e-4d6c-9d3e-6a1f9f6f2c11",
      sub: "system:serviceaccount:shop:pay",
      "kubernetes.io": {
        namespace: "shop",
        node: { name: "node-1", uid: "5f1e" },
        pod: { name: "pay-5d9c", uid: "7a2b" },
        serviceaccount: { name: "pay", uid: "9c3d" },
      },
    };
    expect(await jwt.verify(await token(claims, rs, { typ: undefined }))).toEqual({
      name: "jwt:k8s:system:serviceaccount:shop:pay",
      groups: ["namespace:shop"],
      method: "jwt",
      proofId: "0b8a4f0e-7f0e-4d6c-9d3e-6a1f9f6f2c11",
      expireTime: (NOW + 3500) * 1000,
    });
  });
});

describe("a verified token is remembered", () => {
  test("and answered at once, until it ends", async () => {
    let clock = now();
    const jwt = verifier({}, { now: () => clock });
    const good = await token();
    const first = jwt.verify(good);
    expect(first).toBeInstanceOf(Promise);
    const principal = await first;
    expect(jwt.verify(good)).toBe(principal);
    clock = (NOW + 600) * 1000 - 1;
    expect(jwt.verify(good)).toBe(principal);
    clock++;
    expect(await jwt.verify(good)).toBeUndefined();
  });

  test("once for a burst of calls", async () => {
    const jwt = verifier();
    const good = await token();
    const burst = Array.from({ length: 50 }, () => jwt.verify(good));
    expect(new Set(burst).size).toBe(1);
    expect(await burst[0]).toBeDefined();
  });

  test("until the keys change: a key taken away signs nothing any more", async () => {
    const file = home.write("changing.json", set(es));
    const jwt = verifier({ jwks: { file } });
    const good = await token();
    await jwt.verify(good);
    home.write("changing.json", set(es2));
    await until(() => jwt.verify(good) instanceof Promise, "the new keys are read");
    expect(await jwt.verify(good)).toBeUndefined();
    expect(await jwt.verify(await token({}, es2))).toBeDefined();
  });

  test("within a bound, the least recently used forgotten first", async () => {
    const jwt = verifier({}, { maxCached: 2 });
    const [a, b, c] = await Promise.all(["a", "b", "c"].map((sub) => token({ sub })));
    await jwt.verify(a as string);
    await jwt.verify(b as string);
    jwt.verify(a as string);
    await jwt.verify(c as string);
    expect([a, b, c].map((one) => jwt.verify(one as string) instanceof Promise)).toEqual([
      false,
      true,
      false,
    ]);
  });

  test("at the price of a hash", async () => {
    const jwt = verifier();
    const good = await token();
    await jwt.verify(good);
    const rounds = 20_000;
    const start = performance.now();
    for (let round = 0; round < rounds; round++) jwt.verify(good);
    console.log(`a known token: ${(((performance.now() - start) * 1000) / rounds).toFixed(2)} µs`);
  });
});

describe("keys in a file", () => {
  test("that is not usable stay as they were, with one line in the log", async () => {
    const file = home.write("broken.json", set(es));
    const jwt = verifier({ jwks: { file } });
    home.write("broken.json", "{");
    await until(
      () => log.at(-1)?.startsWith(`error: JWKS ${file}: the last good keys stay in use`) ?? false,
      "a line",
    );
    expect(await jwt.verify(await token())).toBeDefined();
    home.write("broken.json", set(es2));
    await until(async () => (await jwt.verify(await token({}, es2))) !== undefined, "the file is good again");
  });

  test("that can't be used at the start stop it", () => {
    expect(() => verifier({ jwks: { file: "/none" } })).toThrow("JWKS /none: ENOENT");
    expect(() => verifier({ jwks: { file: home.write("a.json", "{}") } })).toThrow("not a JSON Web Key Set");
  });
});

describe("keys from an address", () => {
  let answer: RequestListener;
  let requests: string[] = [];
  let url = "";
  const server = createServer((request, response) => {
    requests.push(request.headers.authorization ?? "");
    answer(request, response);
  });
  const keys =
    (...some: Key[]): RequestListener =>
    (_request, response) =>
      void response.end(set(...some));

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));
  afterEach(() => {
    requests = [];
  });

  test("are fetched before the first token is judged", async () => {
    answer = keys(es);
    expect(await verifier({ jwks: { url } }).verify(await token())).toBeDefined();
    expect(requests).toHaveLength(1);
  });

  test("rotate: an unknown key id fetches them, within a cool-down", async () => {
    let clock = now();
    answer = keys(es);
    const jwt = verifier({ jwks: { url } }, { now: () => clock });
    const rotated = await token({}, es2);
    expect(await jwt.verify(await token())).toBeDefined();
    expect(await jwt.verify(rotated)).toBeUndefined();
    answer = keys(es, es2);
    // The cool-down: whoever makes up key ids can't make us ask the issuer all the time.
    for (let round = 0; round < 20; round++) expect(await jwt.verify(rotated)).toBeUndefined();
    expect(requests).toHaveLength(1);
    clock += 11_000;
    expect(await jwt.verify(rotated)).toBeDefined();
    expect(requests).toHaveLength(2);
    expect(await jwt.verify(await token())).toBeDefined();
  });

  test("are fetched again now and then, so that a key taken away ends", async () => {
    let clock = now();
    answer = keys(es, es2);
    const jwt = verifier({ jwks: { url, maxAgeMs: 20 } }, { now: () => clock });
    const good = await token();
    expect(await jwt.verify(good)).toBeDefined();
    answer = keys(es2);
    clock += 11_000;
    await until(() => jwt.verify(good) instanceof Promise, "the keys are fetched");
    expect(await jwt.verify(good)).toBeUndefined();
  });

  test.for<[string, RequestListener]>([
    ["is down", (request) => void request.socket.destroy()],
    ["answers 500", (_request, response) => void response.writeHead(500).end(set(es2))],
    ["answers with a page", (_request, response) => void response.end("<html>")],
    ["answers with no keys", (_request, response) => void response.end('{"keys":[]}')],
    ["answers without end", (_request, response) => void response.write(" ".repeat(2_000_000))],
    ["sends elsewhere", (_request, response) => void response.writeHead(302, { location: url }).end()],
  ])("that %s: the known keys keep working, and it is logged once", async ([, broken]) => {
    let clock = now();
    answer = keys(es);
    const jwt = verifier({ jwks: { url } }, { now: () => clock });
    expect(await jwt.verify(await token())).toBeDefined();
    log.length = 0;
    answer = broken;
    for (let round = 0; round < 3; round++) {
      clock += 11_000;
      expect(await jwt.verify(await token({ jti: `unknown-${round}` }, es2))).toBeUndefined();
      expect(await jwt.verify(await token({ jti: `known-${round}` }))).toBeDefined();
    }
    expect(requests).toHaveLength(4);
    expect(log).toHaveLength(1);
    expect(log[0]).toMatch(/^error: JWKS http.*: the known keys stay in use: /);
    clock += 11_000;
    answer = keys(es, es2);
    expect(await jwt.verify(await token({}, es2))).toBeDefined();
    expect(log.at(-1)).toBe(`info: JWKS ${url}: loaded`);
  });

  test("that is down from the start: tokens are refused until it is there", async () => {
    let clock = now();
    answer = (request) => void request.socket.destroy();
    const jwt = verifier({ jwks: { url } }, { now: () => clock });
    expect(await jwt.verify(await token())).toBeUndefined();
    answer = keys(es);
    clock += 11_000;
    expect(await jwt.verify(await token())).toBeDefined();
  });

  test("come over https from an authority of one's own, with a token, as in a cluster", async () => {
    const ca = await pki.authority();
    const made = await pki.server(ca);
    const https = createHttpsServer({ cert: made.pem, key: made.keyPem }, (request, response) => {
      response.statusCode = request.headers.authorization === "Bearer let-me-in" ? 200 : 401;
      response.end(set(es));
    });
    await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
    open.push(https);
    const address = `https://127.0.0.1:${(https.address() as AddressInfo).port}/openid/v1/jwks`;
    const caFile = home.write("cluster.crt", ca.pem);
    const tokenFile = home.write("token", "let-me-in\n");
    expect(await verifier({ jwks: { url: address, caFile, tokenFile } }).verify(await token())).toBeDefined();
    expect(await verifier({ jwks: { url: address, caFile } }).verify(await token())).toBeUndefined();
    expect(await verifier({ jwks: { url: address, tokenFile } }).verify(await token())).toBeUndefined();
  });
});

describe("wrong settings are refused at the start", () => {
  test.for<[string, Partial<JwtIssuer>]>([
    ["needs an audience", { audiences: [] }],
    ["needs an algorithm", { algorithms: [] }],
    ["algorithm HS256 is not one of", { algorithms: ["HS256" as "RS256"] }],
    ["algorithm none is not one of", { algorithms: ["none" as "RS256"] }],
    ["prefix must begin with 'jwt:'", { principalPrefix: "token:" }],
    ["prefix must begin with 'jwt:'", { principalPrefix: "" }],
    ["must not be empty", { issuer: "" }],
    ["keys may come from https", { jwks: { url: "http://issuer.example/jwks" } }],
    ["keys may come from https", { jwks: { url: "http://127.0.0.1.evil.example/jwks" } }],
    ["keys may come from https", { jwks: { url: "file:///etc/passwd" } }],
    ["must not hold a password", { jwks: { url: "https://a:b@issuer.example/jwks" } }],
  ])("%s", ([message, settings]) => {
    expect(() => verifier(settings)).toThrow(message);
  });

  test("two issuers whose subjects could be the same principal", () => {
    const two = (first: string | undefined, second: string) => {
      const settings = { audiences: [AUDIENCE], jwks: { file: jwksFile } };
      return () =>
        verifier(
          {},
          {
            issuers: [
              { ...settings, issuer: "https://a.example", principalPrefix: first },
              { ...settings, issuer: "https://b.example", principalPrefix: second },
            ],
          },
        );
    };
    expect(two(undefined, "jwt:b:")).toThrow("must not begin that of");
    expect(two("jwt:a:", "jwt:a:b:")).toThrow("must not begin that of");
    expect(two("jwt:a:", "jwt:a:")).toThrow("must not begin that of");
    expect(two("jwt:a:", "jwt:b:")).not.toThrow();
  });
});

test("nothing of a token ever reaches the log", () => {
  for (const line of log) expect(line).not.toMatch(/eyJ|ann|serviceaccount/);
});

function rsPublicPem(): string {
  return String(createPublicKey(rs.privateKey).export({ type: "spki", format: "pem" }));
}
