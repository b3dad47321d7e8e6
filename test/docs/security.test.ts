import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { NOTICES, TAMPERING } from "../../src/audit/finding.ts";
import { parsePolicyText } from "../../src/cli/policy-text.ts";
import { ACTIONS } from "../../src/domain/access.ts";
import { checkIssuers, JWT_ALGORITHMS } from "../../src/server/identity/issuer.ts";
import { readJwtIssuers } from "../../src/server/identity/jwt-issuers.ts";

const ROOT = join(import.meta.dirname, "../..");
const page = (name: string) => readFileSync(join(ROOT, "docs", name), "utf8");
const security = page("security.md");
const [issuers = "", policies = ""] = [...security.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text);

it("names tests that are there, one at least for each threat", () => {
  const rows = security.split("\n").filter((line) => /^\| .+ \| .+ \| `test\//.test(line));
  expect(rows.length).toBeGreaterThanOrEqual(18);
  const named = [...security.matchAll(/`(test\/[^`]+)`/g)].map(([, path = ""]) => path);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

it("shows issuers and policies that are taken as they stand", () => {
  const read = readJwtIssuers("issuers.yaml", issuers);
  checkIssuers(read);
  expect(read).toHaveLength(2);
  expect(JWT_ALGORITHMS).toContain(read[1]?.algorithms?.[0]);
  expect(parsePolicyText(policies, "policies.yaml").policies).toHaveLength(2);
});

it("explains every action and every finding", () => {
  for (const action of ACTIONS) expect(security).toContain(`\`${action}\` (`);
  const audit = page("audit.md");
  for (const finding of [...TAMPERING, ...NOTICES]) expect(audit).toContain(`\`${finding}\``);
});
