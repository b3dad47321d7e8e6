import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { Wire, WireError } from "../support/wire.ts";
import { type Caller, isAllowed, listed, type PolicyText } from "./oracle.ts";
import { ACTIONS, type ActionName, applyPolicies } from "./rights.ts";

/**
 * Generated policies, and every cell of principal × action × name under them, each a call to a real server whose
 * answer the oracle foretells. On demand: SLOTS_TEST_CELLS=1000000 SLOTS_TEST_SEED=7.
 */
const CELLS = Number(process.env.SLOTS_TEST_CELLS ?? 10_000);
const SEED = Number(process.env.SLOTS_TEST_SEED ?? 20_260);

/** Names that begin like each other, at and beside every boundary that a prefix can have. */
const NAMES = ["a", "a/b", "a/b/c", "a/bc", "ab", "a-b", "a.b", "a0", "A", "b", "b/a", "bb/a", "zz"] as const;
const STORED = NAMES.filter((_, index) => index % 4 !== 3);
const PREFIXES = ["", "a", "a/", "a/b", "b", "A", "zz", "zzz", "~", "a*"];

const CALLERS: readonly (Caller & { readonly groups: string[] })[] = [
  { principal: "token:pay", groups: [] },
  { principal: "token:pay-eu", groups: ["pay"] },
  { principal: "token:pa", groups: ["pay", "ops"] },
  { principal: "token:ops", groups: ["ops"] },
  { principal: "token:idle", groups: [] },
];

const pattern = fc.oneof(
  fc.constantFrom(...NAMES),
  fc.constantFrom(...NAMES, "", "a/", "b/", "A/").map((prefix) => `${prefix}*`),
);
const rule = fc.record({
  actions: fc.uniqueArray(fc.constantFrom(...ACTIONS), { minLength: 1, maxLength: 3 }),
  names: fc.array(pattern, { minLength: 1, maxLength: 3 }),
});
const binding = fc.constantFrom("token:pay", "token:pay-eu", "token:ops", "token:pay*", "token:p*", "tok*");
const policies = fc
  .array(
    fc.record({
      rules: fc.array(rule, { maxLength: 3 }),
      principals: fc.array(binding, { maxLength: 2 }),
      groups: fc.subarray(["pay", "ops", "nobody"]),
    }),
    { maxLength: 5 },
  )
  .map((list): PolicyText[] => list.map((each, index) => ({ name: `p${index}`, ...each })));

const wires: Wire[] = [];
let server: ServerProcess;
let admin: Wire;

beforeAll(async () => {
  server = await ServerProcess.start();
  admin = new Wire(server.address, server.adminToken);
  for (const name of STORED) await admin.put(name, 0n, name);
  for (const { principal, groups } of CALLERS) {
    const { token } = await admin.call(AdminService.method.createToken, { principal, groups });
    wires.push(new Wire(server.address, token));
  }
});

afterAll(async () => {
  for (const wire of [admin, ...wires]) wire?.close();
  await server?.dispose();
});

/** One call for each action; none changes anything. */
const CALL: Readonly<Record<ActionName, (wire: Wire, name: string) => Promise<unknown>>> = {
  read: (wire, name) => wire.get(name),
  watch: (wire, name) => {
    const stream = wire.watch(name);
    return stream.take().finally(() => stream.cancel());
  },
  list: (wire, name) => wire.call(SecretService.method.describeSecret, { name }),
  write: (wire, name) => wire.put(name, 9n, "x", { expectedRevision: 1n << 40n }),
  manage: (wire, name) => wire.call(SecretService.method.disableSlot, { name, slot: 9n }),
  admin: (wire) => wire.call(AdminService.method.listPolicies, {}),
};

async function isDenied(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return false;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    if (error.code === "PERMISSION_DENIED") return true;
    // It was let in, and then found nothing to do.
    if (["NOT_FOUND", "ABORTED"].includes(error.code)) return false;
    throw error;
  }
}

/** What ListSecrets shows, two names a page; undefined when it is refused. */
async function shown(wire: Wire, prefix: string): Promise<string[] | undefined> {
  const names: string[] = [];
  let pageToken = "";
  try {
    do {
      const page = await wire.call(SecretService.method.listSecrets, { prefix, pageSize: 2, pageToken });
      names.push(...page.secrets.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return names;
  } catch (error) {
    if (error instanceof WireError && error.code === "PERMISSION_DENIED") return undefined;
    throw error;
  }
}

test(`the server and the oracle agree on ${CELLS} cells`, { timeout: 60_000 + CELLS * 20 }, async () => {
  let cells = 0;
  let allowed = 0;
  let lists = 0;
  const perRun = CALLERS.length * ACTIONS.length * NAMES.length;
  const agree = fc.asyncProperty(policies, async (wanted) => {
    await applyPolicies(admin, wanted);
    for (const [index, caller] of CALLERS.entries()) {
      const wire = wires[index] as Wire;
      await Promise.all(
        ACTIONS.flatMap((action) =>
          NAMES.map(async (name) => {
            const may = isAllowed(wanted, caller, action, name);
            const denied = await isDenied(CALL[action](wire, name));
            expect({ caller, action, name, denied }).toEqual({ caller, action, name, denied: !may });
            cells += 1;
            if (may) allowed += 1;
          }),
        ),
      );
      for (const prefix of PREFIXES) {
        const names = listed(wanted, caller, prefix, STORED);
        expect({ caller, prefix, names: await shown(wire, prefix) }).toEqual({ caller, prefix, names });
        lists += 1;
      }
    }
  });
  await fc.assert(agree, { seed: SEED, numRuns: Math.ceil(CELLS / perRun), endOnFailure: true });
  console.log(`${cells} cells (${allowed} allowed) and ${lists} lists, seed ${SEED}`);
  expect(cells).toBeGreaterThanOrEqual(CELLS);
  // A test of nothing but refusals, or of none, would show little.
  expect(allowed / cells).toBeGreaterThan(0.1);
  expect(allowed / cells).toBeLessThan(0.9);
});
