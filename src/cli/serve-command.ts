import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { createLogger, type Logger } from "../log.ts";
import type { RunningServer } from "../serve.ts";
import {
  readSettings,
  SETTINGS,
  type SettingName,
  type SettingSources,
  type Settings,
  StartError,
  variableOf,
} from "../settings.ts";

/** What a start that can't go on ends with. */
const CANNOT_START = 1;

export function addServeCommand(program: Command): void {
  const command = program
    .command("serve")
    .description("Run the server. It is ready when it prints 'listening on ADDRESS'.")
    .option("--config <FILE>", "settings as lines 'name = value' (env SLOTS_CONFIG)");
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const value = "value" in setting ? ` <${setting.value}>` : "";
    const standard = setting.schema.safeParse(undefined);
    const fallback =
      standard.success && standard.data !== undefined && standard.data !== false
        ? `; default ${standard.data}`
        : "";
    command.option(
      `--${name}${value}`,
      `${setting.help} (env ${variableOf(name as SettingName)}${fallback})`,
    );
  }
  command.action(async (options: Record<string, unknown>) => {
    try {
      await run(options);
    } catch (error) {
      // One line: what is wrong and what to do. Nothing was changed.
      process.stderr.write(`slots: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exit(CANNOT_START);
    }
  });
}

async function run(options: Record<string, unknown>): Promise<void> {
  const settings = readSettings(sourcesOf(options));
  const log = createLogger(settings["log-level"]);
  // Whatever this process makes is its owner's alone.
  process.umask(0o077);
  // Loaded only now, so that a mistake in a setting is told without waiting for the database to load.
  const server = await start(settings, log);
  process.on("SIGHUP", () => server.reload());
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, "stopping");
    server.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ cause: error instanceof Error ? error.message : String(error) }, "did not stop in order");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  // Last, so that whoever waits for it can stop the server at once, in order. Of workers their parent says so.
  if (server.address !== undefined) process.stdout.write(`listening on ${server.address}\n`);
}

async function start(settings: Settings, log: Logger): Promise<RunningServer> {
  const { isWorker, serveAsWorker, serveWithWorkers, workerCount } = await import("../workers.ts");
  if (isWorker()) return serveAsWorker(settings, log);
  if (workerCount(settings) > 1) return serveWithWorkers(settings, log);
  const { serve } = await import("../serve.ts");
  return serve(settings, log);
}

function sourcesOf(options: Record<string, unknown>): SettingSources {
  const flags: Record<string, unknown> = {};
  for (const name of Object.keys(SETTINGS)) {
    const key = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (options[key] !== undefined) flags[name] = options[key];
  }
  const path = (options.config as string | undefined) ?? process.env.SLOTS_CONFIG;
  if (path === undefined) return { flags, environment: process.env, file: undefined };
  try {
    return { flags, environment: process.env, file: { path, text: readFileSync(path, "utf8") } };
  } catch (error) {
    throw new StartError(
      `--config: can't read ${path}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
