import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeCache } from "../../clients/typescript/src/cache-format.ts";
import type { Administrator } from "./administrator.ts";
import type { DriverStep, RunnerStep } from "./cases.ts";
import { damageRecord } from "./damage.ts";
import type { Answer, DriverProcess } from "./driver-process.ts";
import { difference, type Scope } from "./scope.ts";
import { CLIENT_IDENTITY, type ServerProcess } from "./server-process.ts";

// Steps of the runner, by `do`. Names get the prefix of the driver and the case, as in driver steps.
//
//   put {name, slot? | autoSlot?, value, overwrite?, save?}   writes; save keeps the revision
//   rotate {name, count, prefix}                 puts prefix1 ... prefixN into the next slots, one after the other
//   disable, enable, destroy {name, slot}        delete {name}
//   token {save, actions}                        makes a token that may do these on the case's names
//   grant {actions, certificate?}                replaces what that token may do, or the client certificate
//   revoke {token}                               token: the name it was saved as
//   write {file, text}                           a file of the case; `$file:x` is its path
//   damage {name, slot}                          flips a bit in the sealed value; the server must be down
//   corrupt {file}                               changes a byte in the middle
//   checkFile {file, mode, without}              mode as octal text; without: text that must not be in it
//   join                                         waits for the answer of the background step
//   untilChanges {name, last, boundMs}           until the newest callback matches `last`
//   checkChanges {name}                          revisions of the callbacks rise within an epoch, none twice
//   untilDerived {derived, is, boundMs}          until derivedGet answers so
//   referenceCache {names}                       the TypeScript client opens with the case's cache file and closes
//   readCache {name, value, slot}                the TypeScript client reads the case's cache file and finds this
//   checkRepr {name, without}                    no printed form holds the value, and some say [secret]
//   server {is: "started" | "killed" | "stopped" | "new-epoch" | "new-certificates"}
//                                                only on an own server; once for all drivers

const ANSWER_BOUND_MS = 60_000;

/** One driver in one case. */
export type Actor = {
  readonly driver: DriverProcess;
  readonly scope: Scope;
  readonly administrator: () => Administrator;
  /** Where files of the case go. */
  readonly folder: string;
  /** The server's. */
  readonly dataDir: string;
  background: Promise<void> | undefined;
};

type RunnerAction = (step: RunnerStep, actor: Actor) => Promise<void>;

export async function runDriverStep(step: DriverStep, actor: Actor): Promise<void> {
  if (step.background) {
    actor.background = perform(step, actor);
    actor.background.catch(() => {});
  } else {
    await perform(step, actor);
  }
}

async function perform(step: DriverStep, { driver, scope }: Actor): Promise<void> {
  const { op, expect, error, save, background: _, ...members } = step;
  const bound = ANSWER_BOUND_MS + Number(members.boundMs ?? 0);
  const answer = await driver.ask(op, scope.encodeAll({ client: "c", set: "s", ...members }), bound);
  if (error !== undefined) return expectError(op, answer, error, scope);
  if (!answer.ok) throw new Error(`${op} failed: ${JSON.stringify(answer.error)}`);
  const wrong = difference(answer, scope.encodeAll(expect ?? {}));
  if (wrong !== "") throw new Error(`${op}: ${wrong}`);
  for (const [member, variable] of Object.entries(save ?? {}))
    scope.variables.set(variable, String(answer[member]));
}

function expectError(
  op: string,
  answer: Answer,
  wanted: NonNullable<DriverStep["error"]>,
  scope: Scope,
): void {
  if (answer.ok) throw new Error(`${op} worked, but ${wanted.code} was expected`);
  const { missing, ...rest } = wanted;
  const metadata = missing && { metadata: { missing: missing.map((name) => scope.name(name)).join(",") } };
  const wrong = difference(answer.error, { ...rest, ...metadata }, "error");
  if (wrong !== "") throw new Error(`${op}: ${wrong}; ${JSON.stringify(answer.error)}`);
}

export async function runRunnerStep(step: RunnerStep, actor: Actor): Promise<void> {
  const action = RUNNER_ACTIONS[step.do];
  if (action === undefined) throw new Error(`there is no step ${step.do}`);
  await action(step, actor);
}

/** The step that all drivers share. */
export async function runServerStep(step: RunnerStep, server: ServerProcess): Promise<void> {
  switch (step.is) {
    case "started":
      return server.start();
    case "new-epoch":
      return server.start("--new-epoch");
    case "killed":
      return server.end("SIGKILL");
    case "new-certificates":
      await server.renewCertificates();
      return server.start();
    case "stopped":
      return server.end("SIGTERM");
    default:
      throw new Error(`a server is never ${step.is}`);
  }
}

const text = (step: RunnerStep, member: string): string => String(step[member]);
const names = (step: RunnerStep, { scope }: Actor): string => scope.name(text(step, "name"));
const file = (step: RunnerStep, { folder }: Actor): string => join(folder, text(step, "file"));

/** The principal of a case's token; policies carry the same name. */
function principalOf({ scope }: Actor): string {
  return `conformance-${scope.prefix.replaceAll("/", "-")}`;
}

const RUNNER_ACTIONS: Readonly<Record<string, RunnerAction>> = {
  put: async (step, actor) => {
    const result = await actor.administrator().client.putSlot({
      name: names(step, actor),
      slot: step.slot === undefined ? undefined : BigInt(text(step, "slot")),
      autoSlot: step.autoSlot as "NEXT_INDEX" | undefined,
      value: text(step, "value"),
      overwrite: step.overwrite === true,
    });
    if (step.save !== undefined) actor.scope.variables.set(text(step, "save"), String(result.revision));
  },
  rotate: async (step, actor) => {
    const name = names(step, actor);
    for (let i = 1; i <= Number(step.count); i++) {
      await actor
        .administrator()
        .client.putSlot({ name, autoSlot: "NEXT_INDEX", value: `${step.prefix}${i}` });
    }
  },
  disable: async (step, actor) => {
    await actor.administrator().client.disableSlot(names(step, actor), BigInt(text(step, "slot")));
  },
  enable: async (step, actor) => {
    await actor.administrator().client.enableSlot(names(step, actor), BigInt(text(step, "slot")));
  },
  destroy: async (step, actor) => {
    await actor.administrator().client.destroySlot(names(step, actor), BigInt(text(step, "slot")));
  },
  delete: async (step, actor) => {
    await actor.administrator().client.deleteSecret(names(step, actor));
  },
  token: async (step, actor) => {
    const principal = principalOf(actor);
    const { token, id } = await actor.administrator().createToken(principal);
    await actor
      .administrator()
      .grant(principal, `token:${principal}`, `${actor.scope.prefix}/*`, step.actions as string[]);
    actor.scope.variables.set(text(step, "save"), token);
    actor.scope.variables.set(`${text(step, "save")}.id`, id);
  },
  grant: async (step, actor) => {
    const name = principalOf(actor);
    const principal = step.certificate === true ? CLIENT_IDENTITY : `token:${name}`;
    const names = `${actor.scope.prefix}/*`;
    await actor.administrator().grant(name, principal, names, step.actions as string[]);
  },
  revoke: async (step, actor) => {
    await actor.administrator().revokeToken(actor.scope.variable(`${text(step, "token")}.id`));
  },
  write: async (step, actor) => {
    await writeFile(file(step, actor), String(actor.scope.encode("text", step.text)), { mode: 0o600 });
  },
  damage: async (step, actor) => {
    damageRecord(actor.dataDir, names(step, actor), BigInt(text(step, "slot")));
  },
  corrupt: async (step, actor) => {
    const bytes = await readFile(file(step, actor));
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(file(step, actor), bytes);
  },
  checkFile: async (step, actor) => {
    const path = file(step, actor);
    const mode = ((await stat(path)).mode & 0o777).toString(8);
    if (mode !== step.mode) throw new Error(`the file's mode is ${mode}, not ${step.mode}`);
    if ((await readFile(path)).includes(text(step, "without"))) throw new Error("the file holds plaintext");
  },
  join: async (_, actor) => {
    await actor.background;
  },
  untilChanges: (step, actor) => {
    const wanted = actor.scope.encode("last", step.last);
    return until(step, async () =>
      difference((await changes(step, actor)).at(-1), wanted, "the newest change"),
    );
  },
  untilDerived: (step, actor) => {
    const wanted = actor.scope.encode("is", step.is);
    const members = { derived: step.derived };
    return until(step, async () =>
      difference(await actor.driver.ask("derivedGet", members, ANSWER_BOUND_MS), wanted),
    );
  },
  referenceCache: async (step, actor) => {
    const names = (step.names as string[]).map((name) => actor.scope.name(name));
    const secrets = await actor
      .administrator()
      .client.open(names, { cache: cacheOf(actor), waitMs: ANSWER_BOUND_MS });
    await secrets.close();
  },
  readCache: async (step, actor) => {
    const { path, key } = cacheOf(actor);
    const state = decodeCache(await readFile(path), key).states.get(names(step, actor));
    const found = { value: state?.top?.value.text(), slot: String(state?.top?.slot) };
    const wrong = difference(found, { value: step.value, slot: step.slot }, "the cache");
    if (wrong !== "") throw new Error(wrong);
  },
  checkChanges: async (step, actor) => {
    const seen = await changes(step, actor);
    for (const [i, { revision, epoch }] of seen.entries()) {
      const before = seen[i - 1];
      if (before?.epoch === epoch && BigInt(revision) <= BigInt(before.revision)) {
        throw new Error(`a callback at revision ${revision} came after ${before.revision}`);
      }
    }
  },
  checkRepr: async (step, actor) => {
    const { texts } = await actor.driver.ask("repr", { set: "s", name: names(step, actor) }, ANSWER_BOUND_MS);
    const printed = texts as string[] | undefined;
    if (!printed?.some((one) => one.includes("[secret]"))) throw new Error("no form says [secret]");
    const plain = text(step, "without");
    const forms = [
      plain,
      Buffer.from(plain).toString("base64"),
      Buffer.from(plain).toString("hex"),
      [...Buffer.from(plain)].join(", "),
    ];
    if (printed.some((one) => forms.some((form) => one.includes(form))))
      throw new Error("a form prints the value");
  },
};

type Change = { readonly revision: string; readonly epoch: string };

function cacheOf({ scope }: Actor): { path: string; key: Uint8Array } {
  return { path: scope.variable("cacheFile"), key: Buffer.from(scope.variable("key"), "base64") };
}

/** Looks again and again until nothing is wrong or the step's bound is over. */
async function until(step: RunnerStep, look: () => Promise<string>): Promise<void> {
  const end = performance.now() + Number(step.boundMs);
  for (;;) {
    const wrong = await look();
    if (wrong === "") return;
    if (performance.now() > end) throw new Error(wrong);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function changes(step: RunnerStep, actor: Actor): Promise<Change[]> {
  const answer = await actor.driver.ask("changes", { set: "s", name: names(step, actor) }, ANSWER_BOUND_MS);
  if (!answer.ok) throw new Error(`changes failed: ${JSON.stringify(answer.error)}`);
  return answer.changes as Change[];
}
