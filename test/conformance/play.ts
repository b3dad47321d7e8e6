import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Administrator } from "./administrator.ts";
import { type Case, isDriverStep } from "./cases.ts";
import type { DriverProcess } from "./driver-process.ts";
import { Scope } from "./scope.ts";
import { ServerProcess } from "./server-process.ts";
import { type Actor, runDriverStep, runRunnerStep, runServerStep } from "./steps.ts";

/** How a case ended for a driver: undefined when it passed. */
export type Outcomes = Map<string, Error | undefined>;

/** A server and the runner's hand on it. */
export type Stage = { readonly server: ServerProcess; administrator: Administrator };

export async function openStage(options: { tls?: boolean } = {}): Promise<Stage> {
  const server = await ServerProcess.start(options);
  return { server, administrator: await Administrator.of(server) };
}

export async function closeStage({ server, administrator }: Stage): Promise<void> {
  administrator.close();
  await server.dispose();
}

/**
 * Plays one case with all drivers side by side: each step is done by all of them before the next begins, so that a
 * server is killed once for all. A driver that fails a step is out of the case.
 */
export async function play(one: Case, drivers: readonly DriverProcess[], shared: Stage): Promise<Outcomes> {
  const own = one.ownServer === true || one.tls === true;
  const stage = own ? await openStage({ tls: one.tls === true }) : shared;
  const outcomes: Outcomes = new Map();
  try {
    const token = await stage.server.adminToken();
    const actors: Actor[] = [];
    for (const driver of drivers) {
      outcomes.set(driver.title, undefined);
      const prefix = `${driver.title}/${one.id}`;
      const folder = join(stage.server.folder, "files", prefix.replaceAll("/", "-"));
      await mkdir(folder, { recursive: true });
      const scope = new Scope(prefix, {
        address: stage.server.address,
        admin: token,
        key: KEY,
        otherKey: OTHER_KEY,
      });
      const { tls } = stage.server;
      if (tls !== undefined) {
        scope.variables.set("ca", tls.caCert).set("cert", tls.clientCert).set("certKey", tls.clientKey);
      }
      scope.variables.set("unique", createHash("sha256").update(prefix).digest("hex").slice(0, 32));
      scope.variables.set("tokenFile", join(folder, "token"));
      scope.variables.set("cacheFile", join(folder, "cache"));
      actors.push({
        driver,
        scope,
        folder,
        administrator: () => stage.administrator,
        dataDir: stage.server.dataDir,
        background: undefined,
      });
    }
    await stepByStep(one, actors, stage, outcomes);
    await Promise.all(actors.map(leave));
  } finally {
    if (own) await closeStage(stage);
  }
  return outcomes;
}

async function stepByStep(
  one: Case,
  actors: readonly Actor[],
  stage: Stage,
  outcomes: Outcomes,
): Promise<void> {
  let active = actors;
  const forAll = async (what: string, action: (actor: Actor) => Promise<unknown>): Promise<void> => {
    await Promise.all(
      active.map((actor) =>
        action(actor).catch((error: Error) => {
          const message = `${what}: ${error.message}`;
          outcomes.set(actor.driver.title, new Error(message));
        }),
      ),
    );
    active = active.filter(({ driver }) => outcomes.get(driver.title) === undefined);
  };

  await forAll("connect", (actor) =>
    runDriverStep(
      { op: "connect", address: "$address", token: "$admin", ...(stage.server.tls && { ca: "$ca" }) },
      actor,
    ),
  );
  for (const [i, step] of one.steps.entries()) {
    if (isDriverStep(step)) await forAll(`step ${i + 1}`, (actor) => runDriverStep(step, actor));
    else if (step.do === "server") await runServerStep(step, stage.server);
    else await forAll(`step ${i + 1}, ${step.do}`, (actor) => runRunnerStep(step, actor));
  }
}

/** Closes what a case may have opened; it need not be there. */
async function leave({ driver }: Actor): Promise<void> {
  await driver.ask("closeSet", { set: "s" }, 30_000).catch(() => {});
  await driver.ask("closeClient", { client: "c" }, 30_000).catch(() => {});
}

const KEY = Buffer.alloc(32, 7).toString("base64");
const OTHER_KEY = Buffer.alloc(32, 8).toString("base64");
