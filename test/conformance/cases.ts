import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One step for the driver. */
export type DriverStep = {
  readonly op: string;
  /** Members of the answer that must match. */
  readonly expect?: Readonly<Record<string, unknown>>;
  /** The op must fail so. */
  readonly error?: { readonly code: string; readonly reason?: string; readonly missing?: readonly string[] };
  /** Variables to keep, by the answer's member. */
  readonly save?: Readonly<Record<string, string>>;
  /** Send it and go on; `join` waits for the answer. */
  readonly background?: boolean;
  readonly [member: string]: unknown;
};

/** One step for the runner; see steps.ts. */
export type RunnerStep = { readonly do: string; readonly [member: string]: unknown };

export type Step = DriverStep | RunnerStep;

export type Case = {
  readonly id: string;
  /** Its own server, which the steps may kill, instead of the one that all share. */
  readonly ownServer?: boolean;
  /** Its own server, with TLS; `$ca`, `$cert` and `$certKey` are the client's files. */
  readonly tls?: boolean;
  /** Runs on stubs drivers too. */
  readonly stubs?: boolean;
  readonly steps: readonly Step[];
};

export function isDriverStep(step: Step): step is DriverStep {
  return "op" in step;
}

/** All cases of cases/*.json, in order of files. */
export async function loadCases(): Promise<Case[]> {
  const folder = join(import.meta.dirname, "cases");
  const cases: Case[] = [];
  for (const file of (await readdir(folder)).filter((name) => name.endsWith(".json")).sort()) {
    const { cases: found } = JSON.parse(await readFile(join(folder, file), "utf8"));
    const group = file.replace(/\.json$/, "");
    const steps = file === "slots.json" ? found.flatMap(slotCase) : found;
    cases.push(...steps.map((one: Case) => ({ ...one, id: `${group}/${one.id}` })));
  }
  return cases;
}

type SlotCase = {
  readonly id: string;
  readonly slots?: Readonly<Record<string, string>>;
  readonly slots_base64?: Readonly<Record<string, string>>;
  readonly then?: readonly Readonly<Record<string, unknown>>[];
  readonly calls: readonly {
    readonly get?: true;
    readonly at?: string;
    readonly value?: string | null;
    readonly value_base64?: string;
    readonly slot?: string;
    readonly reason?: string;
  }[];
};

/** A case of slots.json asked twice: by calls (stubs too), and of a handle that has the same state. */
function slotCase({ id, slots, slots_base64, then = [], calls }: SlotCase): Case[] {
  const name = "s";
  const prepare: Step[] = [];
  for (const [slot, value] of Object.entries(slots ?? {})) prepare.push({ op: "put", name, slot, value });
  for (const [slot, base64] of Object.entries(slots_base64 ?? {})) {
    prepare.push({ op: "put", name, slot, value: { base64 } });
  }
  for (const change of then) {
    if ("put" in change) {
      prepare.push({
        op: "put",
        name,
        slot: change.put,
        value: change.value,
        overwrite: change.overwrite === true,
      });
    } else if ("delete" in change) prepare.push({ op: "delete", name });
    else {
      const [[op, slot]] = Object.entries(change) as [[string, string]];
      prepare.push({ op, name, slot });
    }
  }
  const asked = (get: string, at: string): Step[] =>
    calls.map((call) => {
      const step = call.get ? { op: get, name } : { op: at, name, at: call.at };
      if (call.value === null) return { ...step, error: { code: "NOT_FOUND", reason: call.reason! } };
      const value = call.value_base64 === undefined ? call.value : { base64: call.value_base64 };
      return { ...step, expect: { value, slot: call.slot } };
    });
  const byCalls: Case = { id, stubs: true, steps: [...prepare, ...asked("get", "at")] };
  const last = calls.find((call) => call.get) ?? calls.at(-1)!;
  // A set opens only with a value: a secret without one gets it first and loses it while open.
  const hasValue = last.value !== null;
  const open: Step[] = hasValue
    ? [...prepare, { op: "open", names: [name] }]
    : [
        { op: "put", name, slot: "0", value: "before" },
        { op: "open", names: [name] },
        { op: "delete", name },
        ...prepare,
        {
          op: "waitFor",
          name,
          boundMs: "20000",
          absent: last.reason === "SECRET_NOT_FOUND" ? "NOT_EXISTING" : "NO_ENABLED_SLOT",
        },
      ];
  return [byCalls, { id: `${id}-by-handle`, steps: [...open, ...asked("current", "effectiveAt")] }];
}
