import type { X509Certificate } from "node:crypto";
import { parseDuration, parseMoment, parsePoint } from "../../../../src/cli/arguments.ts";
import { CliError } from "../../../../src/cli/exit-codes.ts";
import { formatPolicies, messageOf, parsePolicyText } from "../../../../src/cli/policy-text.ts";
import { parsePolicies } from "../../../../src/domain/access.ts";
import { SlotsError } from "../../../../src/domain/errors.ts";
import { certificatePrincipal } from "../../../../src/server/identity/certificate.ts";
import { claimAt, groupsFrom, principalName } from "../../../../src/server/identity/claims.ts";
import { checkIssuers } from "../../../../src/server/identity/issuer.ts";
import { readJwtIssuers } from "../../../../src/server/identity/jwt-issuers.ts";
import { readSettings, SETTINGS, StartError } from "../../../../src/settings.ts";
import { must, mustEqual, orRefused } from "./expect.ts";
import type { ParserTarget } from "./guided.ts";

const POLICIES = `policies:
  - name: payments
    comment: "what it may"
    principals: [token:pay, spiffe://prod/pay*]
    rules:
      - actions: [read, watch]
        names: [app/*, "*"]
`;
const ISSUERS = `issuers:
  - issuer: https://issuer.example
    audiences: [slots]
    jwks: { url: "https://issuer.example/keys" }
    principalPrefix: "jwt:a:"
`;
const usage = (error: Error) => error instanceof CliError;
const plain = (error: Error) => error.constructor === Error;

/** Parsers of what operators write, and of what other authorities say of a caller. */
export const WRITTEN: readonly ParserTarget[] = [
  {
    name: "settings",
    modules: ["src/settings.ts"],
    seeds: [
      "# a comment\nlisten = 127.0.0.1:0\nworkers = auto\n",
      'data-dir = "/var/lib/slots"\nnew-epoch = true\naudit-sync = fsync\nwrite-queue=10',
      "constructor = x",
    ],
    check: (input) => {
      const text = input.toString();
      const read = (file: string) =>
        readSettings({ flags: {}, environment: {}, file: { path: "f", text: file } });
      const settings = orRefused(
        () => read(text),
        (error) => error instanceof StartError,
      );
      if (settings === undefined) return;
      for (const line of text.split("\n").map((each) => each.trim())) {
        if (line === "" || line.startsWith("#")) continue;
        const name = /^[a-z-]+/.exec(line)?.[0] ?? "";
        must(Object.hasOwn(SETTINGS, name), `'${name}' is no setting and was taken`);
      }
      const written = Object.entries(settings).flatMap(([name, value]) =>
        value === undefined ? [] : [`${name} = ${value}`],
      );
      const again = Object.values(settings).some((value) => /^\s|\s$|"|\n|\r/.test(String(value)));
      if (!again)
        mustEqual(read(written.join("\n")), settings, "settings that are written are read as they were");
    },
  },
  {
    name: "policy file",
    modules: ["src/cli/policy-text.ts"],
    seeds: [POLICIES, "policies: []", "a: &a [x]\npolicies: *a\n", "*a"],
    check: (input) => {
      const parsed = orRefused(() => parsePolicyText(input.toString(), "file"), usage);
      if (parsed === undefined) return;
      const messages = parsed.policies.map((policy) => messageOf(policy)) as never;
      const text = formatPolicies(messages);
      const again = parsePolicyText(text, "file").policies;
      mustEqual(again.map(messageOf), messages, "policies that are written are read as they were");
      mustEqual(formatPolicies(again.map(messageOf) as never), text, "policies are written one way");
    },
  },
  {
    name: "policy",
    modules: ["src/domain/access.ts"],
    seeds: [
      '[{"name":"a","comment":"","rules":[{"actions":["read"],"names":["a/*"]}],"principals":["token:a"],"groups":["g"]}]',
    ],
    check: (input) => {
      const policies = policiesIn(input.toString());
      const parsed =
        policies &&
        orRefused(
          () => parsePolicies(policies),
          (error) => error instanceof SlotsError,
        );
      if (!parsed) return;
      mustEqual(parsePolicies(parsed), parsed, "policies that were taken are taken again");
      for (const { principals } of parsed) must(!principals.includes("*"), "no policy is for everybody");
    },
  },
  {
    name: "issuers",
    modules: [
      "src/server/identity/jwt-issuers.ts",
      "src/server/identity/issuer.ts",
      "src/server/identity/fetch-json.ts",
    ],
    seeds: [ISSUERS, ISSUERS.replace('{ url: "https://issuer.example/keys" }', "{ file: /k }"), "*a"],
    check: (input) => {
      const issuers = orRefused(() => readJwtIssuers("file", input.toString()), plain);
      if (issuers === undefined || orRefused(() => [checkIssuers(issuers)], plain) === undefined) return;
      for (const { principalPrefix = "jwt:", jwks } of issuers) {
        must(principalPrefix.startsWith("jwt:"), "no issuer can name another kind of principal");
        if (!("url" in jwks)) continue;
        const { protocol, hostname } = new URL(jwks.url);
        const near = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
        must(protocol === "https:" || near, "keys come over TLS or from this machine");
      }
    },
  },
  {
    name: "claims",
    modules: ["src/server/identity/claims.ts"],
    seeds: ['{"sub":"a","groups":["x","y"],"kubernetes.io":{"serviceaccount":{"name":"n"}}}\ngroups\nk8s:'],
    check: (input) => {
      const [json = "", path = "", prefix = ""] = input.toString().split("\n");
      const claims = objectIn(json);
      if (claims === undefined) return;
      for (const group of groupsFrom(claimAt(claims, path), prefix)) {
        must(
          group.startsWith(prefix) && /^[!-~]{1,128}$/.test(group),
          "a group is one that a policy can name",
        );
      }
      const name = principalName("jwt:", claimAt(claims, "sub"));
      must(
        name === undefined || /^jwt:[!-~]{1,508}$/.test(name),
        "a principal is one that a policy can name",
      );
      must(name?.includes("*") !== true, "no principal reads as a pattern");
    },
  },
  {
    name: "alternative names",
    modules: ["src/server/identity/certificate.ts"],
    seeds: [
      "URI:spiffe://prod/pay, DNS:pay.example",
      "DNS:Pay.Example",
      'DNS:"a, URI:x"',
      "URI:token://admin",
      "IP Address:::1",
    ],
    check: (input) => {
      const subjectAltName = input.toString();
      const leaf = { subjectAltName, serialNumber: "4A", validToDate: new Date(0) } as X509Certificate;
      const name = certificatePrincipal(leaf)?.name;
      if (name === undefined) return;
      must(!/^(?:token|jwt):/.test(name), "a certificate is never another kind of principal");
      must(/^[!-~]{1,512}$/.test(name) && !name.includes("*"), "a principal is one that a policy can name");
      must(
        name.startsWith("dns:") || /^[a-z][a-z0-9+.-]*:\/\//.test(name),
        "a principal is a URI or a DNS name",
      );
      const stated = name.startsWith("dns:") ? `DNS:${name.slice(4)}` : `URI:${name}`;
      must(
        subjectAltName.toLowerCase().includes(stated.toLowerCase()),
        "a principal is what the certificate says",
      );
    },
  },
  {
    name: "arguments",
    modules: ["src/cli/arguments.ts"],
    seeds: [
      "2030-01-31",
      "2030-02-30",
      "2030-01-31T00:00:00Z",
      "12h",
      "8w",
      "9223372036854775807",
      "2024-02-29T23:59:59.5+01:00",
    ],
    check: (input) => {
      const text = input.toString();
      const point = orRefused(() => parsePoint(text, "at"), usage);
      must(point === undefined || (point >= 0n && point < 2n ** 63n), "a point is a slot's number");
      const duration = parseDuration(text);
      must(duration === undefined || (Number.isFinite(duration) && duration >= 1000), "a duration is one");
      const moment = orRefused(() => parseMoment(text, "at", 1), usage);
      if (moment === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return;
      mustEqual(moment.toISOString().slice(0, 10), text, "a day is the day that was written");
    },
  },
];

function objectIn(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Policies of the right types, as the wire gives them, with anything in their texts. */
function policiesIn(json: string): Parameters<typeof parsePolicies>[0] | undefined {
  const list = objectIn(json);
  if (!Array.isArray(list)) return undefined;
  const texts = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);
  return list.map((each) => ({
    name: String(each?.name),
    comment: String(each?.comment),
    rules: (Array.isArray(each?.rules) ? each.rules : []).map((rule: Record<string, unknown>) => ({
      actions: texts(rule?.actions) as never,
      names: texts(rule?.names),
    })),
    principals: texts(each?.principals),
    groups: texts(each?.groups),
  }));
}
