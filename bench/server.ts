import { mkdirSync } from "node:fs";
import { type ServerOptions, ServerProcess } from "../test/support/server-process.ts";
import type { Plan } from "./scenario.ts";

/** A server to be measured; with `--profile` each of its processes writes a processor profile when it ends. */
export function startServer(plan: Plan, options: ServerOptions = {}): Promise<ServerProcess> {
  if (plan.profile === undefined) return ServerProcess.start(options);
  mkdirSync(plan.profile, { recursive: true });
  const flags = `--cpu-prof --cpu-prof-dir=${plan.profile}`;
  return ServerProcess.start({ ...options, env: { ...options.env, NODE_OPTIONS: flags } });
}

/** Ends it and removes its store. */
export async function endServer(plan: Plan, server: ServerProcess): Promise<void> {
  // A process that is killed writes no profile.
  if (plan.profile !== undefined) await server.stop();
  await server.dispose();
}
