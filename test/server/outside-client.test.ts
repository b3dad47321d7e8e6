import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { waitFor } from "../support/wait-for.ts";

const BUF = join(import.meta.dirname, "../../node_modules/.bin/buf");
const run = promisify(execFile);

/** `buf curl`, a client that nobody here wrote. It learns the services by reflection. */
describe("an outside client", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await ServerProcess.start();
  });
  afterAll(async () => {
    await server?.dispose();
  });
  const args = (method: string, data: object, token = server.adminToken) => [
    ...["curl", "--protocol", "grpc", "--http2-prior-knowledge"],
    ...[
      "--reflect-header",
      `authorization: Bearer ${server.adminToken}`,
      "-H",
      `authorization: Bearer ${token}`,
    ],
    ...["-d", JSON.stringify(data), `http://${server.address}/${method}`],
  ];
  const call = async (method: string, data: object) =>
    JSON.parse((await run(BUF, args(`secretslots.v1.SecretService/${method}`, data))).stdout) as Record<
      string,
      unknown
    >;
  const base64 = (text: string) => Buffer.from(text).toString("base64");

  it("puts, gets, gets effective values and watches", async () => {
    const name = "outside/db";
    await call("PutSlot", { name, slot: "0", value: base64("original_password") });
    const put = await call("PutSlot", { name, slot: "5", value: base64("updated_password") });
    expect(put).toMatchObject({
      name,
      slot: "5",
      state: "SLOT_STATE_ENABLED",
      created: true,
      currentSlot: "5",
    });
    expect(await call("GetSecret", { name })).toMatchObject({ slot: "5", value: base64("updated_password") });
    for (const [at, slot, value] of [
      ["0", "0", "original_password"],
      ["3", "0", "original_password"],
      ["5", "5", "updated_password"],
      ["7", "5", "updated_password"],
    ] as const) {
      expect(await call("GetEffectiveAt", { name, at })).toMatchObject({ at, slot, value: base64(value) });
    }
    const watch = spawn(BUF, args("secretslots.v1.SecretService/WatchSecret", { name }));
    let printed = "";
    watch.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
    });
    await waitFor("the current value", () => printed.includes(base64("updated_password")));
    await call("PutSlot", { name, slot: "6", value: base64("newest_password") });
    await waitFor("the rotation", () => printed.includes(base64("newest_password")));
    watch.kill();
  });

  it("finds health without an identity, and nothing else", async () => {
    const health = await run(BUF, [
      ...["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--schema", "proto", "-d", "{}"],
      `http://${server.address}/grpc.health.v1.Health/Check`,
    ]);
    expect(JSON.parse(health.stdout)).toEqual({ status: "SERVING" });
    const refused = run(BUF, [
      ...[
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        "--schema",
        "proto",
        "-d",
        '{"name":"outside/db"}',
      ],
      `http://${server.address}/secretslots.v1.SecretService/GetSecret`,
    ]);
    await expect(refused).rejects.toThrow(/unauthenticated/);
  });
});
