import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { Wire } from "../support/wire.ts";
import { PATIENT, Slots } from "./slots.ts";

const POLICIES = `# who may do what
policies:
  - name: payments
    comment: 'reads: payments'
    principals: [token:payments]
    rules:
      - actions: [read, watch]
        names: ["payments/*"]
  - name: ops
    groups: [ops]
    rules: [{ actions: [list], names: ["*"] }]
`;

describe("slots token, policy, whoami, can", PATIENT, () => {
  let server: ServerProcess;
  let slots: Slots;
  let wire: Wire;
  beforeAll(async () => {
    server = await ServerProcess.start();
    slots = new Slots(server);
    wire = new Wire(server.address, server.adminToken);
    await wire.put("payments/db", 0n, "value");
  });
  afterAll(async () => {
    wire?.close();
    slots?.dispose();
    await server?.dispose();
  });

  it("makes a token that is printed once, knows it, lists it, and ends it", async () => {
    const made = await slots.run([
      "token",
      "create",
      "--principal",
      "payments",
      "--group",
      "ops",
      "--expires",
      "30d",
    ]);
    const token = made.text.trim();
    expect(token).toMatch(/^sst_[0-9A-Za-z]{49}$/);
    expect(made.stderr).not.toContain(token);
    const env = { SLOTS_TOKEN: token };
    const me = await slots.json(["whoami"], { env });
    expect(me).toMatchObject({ principal: "token:payments", method: "token", groups: ["ops"] });
    const lists = (await slots.ok(["token", "list", "--output", "json"])).trim().split("\n");
    const listed = lists.map((line) => JSON.parse(line)).find(({ tokenId }) => tokenId === me.tokenId);
    expect(listed).toMatchObject({ principal: "token:payments", groups: ["ops"], expireTime: me.expireTime });
    expect(await slots.ok(["token", "list"])).not.toContain(token);
    expect((await slots.run(["token", "revoke", token])).stderr).toContain("is a token, not its id");
    await slots.ok(["token", "revoke", String(me.tokenId)]);
    expect((await slots.run(["whoami"], { env })).status).toBe(4);
    expect(await slots.ok(["token", "list"])).toMatch(new RegExp(`${me.tokenId}.*revoked`));
    expect((await slots.run(["token", "revoke", "tk_none"])).status).toBe(3);
    expect((await slots.run(["token", "create"])).status).toBe(2);
  });

  it("applies a file of policies, shows what changes, and exports what applies again byte for byte", async () => {
    writeFileSync(slots.path("policies.yaml"), POLICIES);
    const dry = await slots.run(["policy", "diff", "-f", "policies.yaml", "--exit-code"]);
    expect([dry.status, dry.text]).toEqual([1, expect.stringMatching(/^\+ - name: ops$/m)]);
    expect(await slots.ok(["policy", "export"])).toBe("policies: []\n");
    expect(await slots.json(["policy", "apply", "-f", "policies.yaml"])).toMatchObject({
      added: ["ops", "payments"],
    });

    const exported = await slots.ok(["policy", "export"]);
    expect(exported).toContain("names: [payments/*]");
    writeFileSync(slots.path("exported.yaml"), exported);
    expect(await slots.ok(["policy", "apply", "-f", "exported.yaml"])).toBe("nothing changes\n");
    expect(await slots.ok(["policy", "export"])).toBe(exported);
    expect(await slots.ok(["policy", "apply", "-f", "-"], { input: exported })).toBe("nothing changes\n");

    const changed = exported.replace("read, watch", "read");
    const diff = await slots.ok(["policy", "diff", "-f", "-"], { input: changed });
    expect(diff).toMatch(/^- {5}- actions: \[read, watch\]\n\+ {5}- actions: \[read\]$/m);
    expect(await slots.ok(["policy", "show", "ops"])).toBe(
      '- name: ops\n  groups: [ops]\n  rules:\n    - actions: [list]\n      names: ["*"]\n',
    );
    expect((await slots.run(["policy", "show", "none"])).status).toBe(3);
  });

  it("names the file and the line of what is wrong, and changes nothing", async () => {
    const before = await slots.ok(["policy", "export"]);
    const cases = [
      [
        POLICIES.replace("[read, watch]", "[read, wach]"),
        /bad.yaml:7: policies\[0\].rules\[0\].actions\[1\]: /,
      ],
      [POLICIES.replace("principals:", "principal:"), /bad.yaml:3: .*principal/],
      [POLICIES.replace("[ops]", "ops"), /bad.yaml:10: policies\[1\].groups: /],
      [POLICIES.replace("[token:payments]", "[token:payments"), /bad.yaml:\d+:\d+: /],
      // Only the server knows this rule.
      [POLICIES.replace("payments/*", "pay*ments"), /bad.yaml:8: policies\[0\].rules\[0\].names\[0\]: /],
      ["", /bad.yaml/],
    ] as const;
    for (const [text, says] of cases) {
      writeFileSync(slots.path("bad.yaml"), text);
      const ran = await slots.run(["policy", "apply", "-f", "bad.yaml"]);
      expect({ status: ran.status, stderr: ran.stderr }).toEqual({
        status: 7,
        stderr: expect.stringMatching(says),
      });
    }
    expect(await slots.ok(["policy", "export"])).toBe(before);
  });

  it("explains what is allowed and by which rule", async () => {
    writeFileSync(slots.path("policies.yaml"), POLICIES);
    await slots.ok(["policy", "apply", "-f", "policies.yaml"]);
    const ask = (...args: string[]) => slots.run(["can", ...args]);
    const yes = await ask("read", "payments/db", "--principal", "token:payments");
    expect([yes.status, yes.text]).toEqual([0, "yes: policy 'payments', rule 0 (payments/*)\n"]);
    const no = await ask("write", "payments/db", "--principal", "token:payments");
    expect([no.status, no.text]).toEqual([4, "no: no rule allows it\n"]);
    expect((await ask("list", "payments/db", "--principal", "token:x", "--group", "ops")).status).toBe(0);
    expect((await ask("admin")).status).toBe(0);
    expect((await ask("fly", "payments/db")).status).toBe(2);
    expect((await ask("read")).status).toBe(2);
    const { token } = await wire.createToken("token:payments");
    const own = await slots.run(["get", "other/db"], { env: { SLOTS_TOKEN: token } });
    expect([own.status, own.stderr]).toEqual([4, expect.stringContaining("slots can")]);
  });

  it("breaks the glass: makes a token in the files, known to the running server at once, and audited", async () => {
    const offline = new Slots();
    try {
      const made = await offline.run(["token", "create", "--data-dir", server.dataDir]);
      expect([made.status, made.text]).toEqual([0, expect.stringMatching(/^sst_\w+\n$/)]);
      const env = { SLOTS_TOKEN: made.text.trim() };
      expect(await slots.json(["whoami"], { env })).toMatchObject({ principal: "token:admin" });
      const record = JSON.parse(
        (await slots.ok(["audit", "search", "--output", "json"]))
          .trim()
          .split("\n")
          .filter((line) => line.includes('"offline"'))
          .at(-1) ?? "",
      );
      expect(record).toMatchObject({
        rpc: "OfflineCreateToken",
        method: "offline",
        code: "OK",
        changed: true,
      });
      expect(made.stderr).toContain(record.subject);
      expect(JSON.stringify(record)).not.toContain(made.text.trim());
      expect((await offline.run(["audit", "verify", "--data-dir", server.dataDir])).status).toBe(0);
      // Nothing is made where there is no store.
      const nowhere = await offline.run(["token", "create", "--data-dir", offline.path("none")]);
      expect([nowhere.status, nowhere.stderr]).toEqual([1, expect.stringContaining("there is no store")]);
    } finally {
      offline.dispose();
    }
  });
});
