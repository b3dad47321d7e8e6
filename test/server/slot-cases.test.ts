import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { failure, Wire } from "../support/wire.ts";

interface SlotCase {
  readonly id: string;
  readonly slots?: Readonly<Record<string, string>>;
  readonly slots_base64?: Readonly<Record<string, string>>;
  readonly then?: readonly {
    readonly disable?: string;
    readonly enable?: string;
    readonly destroy?: string;
    readonly delete?: true;
    readonly put?: string;
    readonly value?: string;
    readonly overwrite?: boolean;
  }[];
  readonly calls: readonly {
    readonly get?: true;
    readonly at?: string;
    readonly value?: string | null;
    readonly value_base64?: string;
    readonly slot?: string;
    readonly reason?: string;
  }[];
}

const { cases } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../conformance/cases/slots.json"), "utf8"),
) as { cases: readonly SlotCase[] };

describe.each(["sqlite", "memory"])("the slot cases, on engine %s", (engine) => {
  let server: ServerProcess;
  let wire: Wire;
  beforeAll(async () => {
    server = await ServerProcess.start({ args: ["--engine", engine] });
    wire = new Wire(server.address, server.adminToken);
  });
  afterAll(async () => {
    wire?.close();
    await server?.dispose();
  });

  it.each(cases.map((each) => [each.id, each] as const))(
    "%s",
    async (id, { slots, slots_base64, then, calls }) => {
      const name = `cases/${id}`;
      const { disableSlot, enableSlot, destroySlot, deleteSecret } = SecretService.method;
      for (const [slot, value] of Object.entries(slots ?? {})) await wire.put(name, BigInt(slot), value);
      for (const [slot, value] of Object.entries(slots_base64 ?? {})) {
        await wire.put(name, BigInt(slot), Buffer.from(value, "base64"));
      }
      for (const step of then ?? []) {
        if (step.disable !== undefined) await wire.call(disableSlot, { name, slot: BigInt(step.disable) });
        if (step.enable !== undefined) await wire.call(enableSlot, { name, slot: BigInt(step.enable) });
        if (step.destroy !== undefined) await wire.call(destroySlot, { name, slot: BigInt(step.destroy) });
        if (step.delete) await wire.call(deleteSecret, { name });
        if (step.put !== undefined) {
          await wire.put(name, BigInt(step.put), step.value ?? "", { overwrite: step.overwrite ?? false });
        }
      }
      for (const call of calls) {
        const answer = call.at === undefined ? wire.get(name) : wire.at(name, BigInt(call.at));
        if (call.value === null) {
          const error = await failure(answer);
          expect([error.code, error.reason]).toEqual(["NOT_FOUND", call.reason]);
          continue;
        }
        const { value, slot } = await answer;
        const expected =
          call.value_base64 === undefined
            ? Buffer.from(call.value ?? "")
            : Buffer.from(call.value_base64, "base64");
        expect(Buffer.from(value)).toEqual(expected);
        expect(String(slot)).toBe(call.slot);
      }
    },
  );
});
