import { format, inspect } from "node:util";
import {
  type Derived,
  type FakeSecrets,
  fakeSecrets,
  type SecretHandle,
  type Secrets,
  SlotsError,
  type ViewName,
} from "../../src/index.ts";
import { client, version } from "./calls.ts";
import { Hammer } from "./hammer.ts";
import { base64, bytes, integer, named, type Ops, optional, type Request, text } from "./protocol.ts";

type OpenSet = {
  readonly secrets: Secrets;
  readonly changes: Map<string, object[]>;
  hammer: Hammer | undefined;
};

/** A resource that notices when it is misused. */
class Resource {
  static building = 0;
  readonly value: string;
  closed = false;
  constructor(value: string) {
    this.value = value;
  }
}

type DerivedEntry = { readonly derived: Derived<Resource>; builds: number; readonly closed: string[] };

export const sets = new Map<string, OpenSet>();
const deriveds = new Map<string, DerivedEntry>();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function set(request: Request): OpenSet {
  return named(sets, text(request, "set"));
}

function handle(request: Request): SecretHandle {
  return set(request).secrets.handle(text(request, "name"));
}

function subscribe(secrets: Secrets, delayMs: number): OpenSet {
  const changes = new Map<string, object[]>();
  for (const name of secrets.names) {
    const seen: object[] = [];
    changes.set(name, seen);
    secrets.handle(name).onChange(async ({ current, currentChanged }) => {
      if (delayMs > 0) await sleep(delayMs);
      seen.push({
        revision: current.revision,
        epoch: current.epoch,
        slot: current.top?.slot ?? null,
        value: current.top === undefined ? null : base64(current.top.value.bytes()),
        absent: current.absent ?? "",
        currentChanged,
      });
    });
  }
  return { secrets, changes, hammer: undefined };
}

/** Why the wanted state is not there yet; "" when it is. Names no value. */
function unmet(r: Request): string {
  const { secrets } = set(r);
  if (r.stale !== undefined && secrets.stale !== r.stale) return `stale is ${secrets.stale}`;
  if (r.name === undefined) return "";
  const state = handle(r).state();
  const what = `at revision ${state.revision}, slot ${state.top?.slot ?? "none"}, absent ${state.absent ?? "no"}`;
  const value = optional(r, "value");
  if (value !== undefined && (state.top === undefined || base64(state.top.value.bytes()) !== value))
    return what;
  const slot = optional(r, "slot");
  if (slot !== undefined && String(state.top?.slot) !== slot) return what;
  const revision = optional(r, "revision");
  if (revision !== undefined && state.revision < BigInt(revision)) return what;
  const absent = optional(r, "absent");
  if (absent !== undefined && state.absent !== absent) return what;
  const failed = state.slots.length > 0 && state.top === undefined;
  if (r.failed === true && !failed) return what;
  return "";
}

function printed(r: Request): string[] {
  const { secrets } = set(r);
  const one = handle(r);
  const current = one.current();
  const { value } = current;
  const error = new Error(`failed with ${value}`, { cause: current });
  const texts = [String(value), `${value}`, "".concat(value as unknown as string), JSON.stringify({ value })];
  texts.push(JSON.stringify({ ...current, slot: 0, revision: 0 }), JSON.stringify(Object.keys(value)));
  for (const thing of [value, current, one, one.state(), secrets, [...sets.values()], error]) {
    texts.push(
      inspect(thing, { depth: 10, showHidden: true }),
      format("%s %o %O %j", thing, thing, thing, value),
    );
  }
  return texts;
}

function nanoseconds(ms: number, read: () => unknown): string {
  const batch = 100_000;
  let kept: unknown;
  for (let i = 0; i < batch; i++) kept = read();
  const start = performance.now();
  let calls = 0;
  while (performance.now() - start < ms) {
    for (let i = 0; i < batch; i++) kept = read();
    calls += batch;
  }
  const elapsed = performance.now() - start;
  return kept === undefined ? "0" : ((elapsed * 1e6) / calls).toFixed(2);
}

export const handleOps: Ops = {
  open: async (r) => {
    const path = optional(r, "cachePath");
    const secrets = await client(r).open(r.names as string[], {
      waitMs: r.timeoutMs === undefined ? undefined : Number(r.timeoutMs),
      view: optional(r, "view") as ViewName | undefined,
      cache: path === undefined ? undefined : { path, key: bytes(r, "cacheKey") },
    });
    sets.set(text(r, "set"), subscribe(secrets, Number(r.callbackDelayMs ?? 0)));
    return {};
  },
  fakeOpen: (r) => {
    const secrets = r.secrets as Record<string, Record<string, string>>;
    const values = Object.entries(secrets).map(([name, slots]) => [
      name,
      Object.fromEntries(Object.entries(slots).map(([slot, value]) => [slot, Buffer.from(value, "base64")])),
    ]);
    sets.set(text(r, "set"), subscribe(fakeSecrets(Object.fromEntries(values)), 0));
    return {};
  },
  fakeRotate: (r) => {
    const fake = set(r).secrets as FakeSecrets;
    fake.rotate(text(r, "name"), bytes(r, "value"), r.slot === undefined ? undefined : integer(r, "slot"));
    return {};
  },
  current: (r) => version(handle(r).current()),
  effectiveAt: (r) => version(handle(r).effectiveAt(integer(r, "at"))),
  acceptable: (r) => {
    const accepted = handle(r).acceptable(integer(r, "t"), integer(r, "overlap"));
    return {
      slots: accepted.map(({ slot }) => slot),
      values: accepted.map(({ value }) => base64(value.bytes())),
    };
  },
  age: (r) => {
    const age = set(r).secrets.ageMs();
    return { ageMs: age === undefined ? null : String(Math.round(age)) };
  },
  stale: (r) => ({ stale: set(r).secrets.stale }),
  waitFor: async (r) => {
    const start = performance.now();
    const bound = Number(text(r, "boundMs"));
    for (;;) {
      const why = unmet(r);
      const waited = performance.now() - start;
      if (why === "") return { waitedMs: String(Math.round(waited)) };
      if (waited > bound) throw new SlotsError("DEADLINE_EXCEEDED", why, { reason: "WAIT_TIMEOUT" });
      await sleep(5);
    }
  },
  changes: (r) => ({ changes: named(set(r).changes, text(r, "name")) }),
  derive: async (r) => {
    const failOn = optional(r, "failOn");
    const closed: string[] = [];
    let builds = 0;
    const derived = await handle(r).derived(
      async ({ value }) => {
        if (++Resource.building > 1) throw new Error("two builds at a time");
        await sleep(5);
        Resource.building--;
        const bytes64 = base64(value.bytes());
        if (bytes64 === failOn) throw new Error("told to fail");
        builds++;
        return new Resource(bytes64);
      },
      (resource) => {
        if (resource.closed) throw new Error("closed twice");
        resource.closed = true;
        closed.push(resource.value);
      },
    );
    deriveds.set(text(r, "derived"), {
      derived,
      closed,
      get builds() {
        return builds;
      },
    });
    return { value: derived.get().value };
  },
  derivedGet: (r) => {
    const { derived, builds, closed } = named(deriveds, text(r, "derived"));
    const resource = derived.get();
    return { value: resource.value, builds: String(builds), closed };
  },
  repr: (r) => ({ texts: printed(r) }),
  bench: (r) => {
    const ms = Number(r.ms ?? 300);
    const one = handle(r);
    const { slot } = one.current();
    const at = Number(slot);
    return {
      currentNs: nanoseconds(ms, () => one.current()),
      effectiveAtNs: nanoseconds(ms, () => one.effectiveAt(at)),
    };
  },
  hammerStart: (r) => {
    const target = set(r);
    target.hammer = new Hammer(target.secrets, r.names as string[], Number(r.perSecond));
    return {};
  },
  hammerStop: (r) => named(new Map([["hammer", set(r).hammer!]]), "hammer").stop(),
  closeSet: async (r) => {
    await set(r).secrets.close();
    return {};
  },
};
