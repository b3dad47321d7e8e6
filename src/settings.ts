import { z } from "zod";
import { MAX_SLOTS_PER_SECRET, MAX_VALUE_BYTES_DEFAULT, MAX_VALUE_BYTES_HIGHEST } from "./core/limits.ts";

const count = (most: number, least = 0) => z.coerce.number().int().min(least).max(most);
const flag = z.union([z.boolean(), z.stringbool()]);
const path = z.string().min(1);

interface Setting {
  readonly schema: z.ZodType;
  readonly help: string;
  /** How `--help` names the value; a setting without one is a switch. */
  readonly value?: string;
}

/**
 * Every setting of the server, once: a flag `--data-dir`, a variable `SLOTS_DATA_DIR` and a line `data-dir = …` of
 * the configuration file are made from it, and the documentation is checked against it.
 */
export const SETTINGS = {
  "data-dir": { schema: path.default("./data"), value: "DIR", help: "where the store lives" },
  engine: {
    schema: z.enum(["sqlite", "memory"]).default("sqlite"),
    value: "ENGINE",
    help: "sqlite, or memory: keeps nothing after the end, for trials and tests",
  },
  listen: {
    schema: z.string().default("127.0.0.1:50051"),
    value: "ADDRESS",
    help: "HOST:PORT (port 0 takes a free one) or unix:PATH",
  },
  workers: {
    schema: z.union([z.literal("auto"), count(256, 1)]).default(1),
    value: "N",
    help: "processes that serve, or auto for one a core; they share one writer",
  },
  "new-epoch": {
    schema: flag.default(false),
    help: "begin a new epoch: needed once after a copy or restore of the files",
  },
  "master-key-file": {
    schema: path.optional(),
    value: "FILE",
    help: "master keys; default <data-dir>/master.key",
  },
  "master-key-env": {
    schema: path.optional(),
    value: "NAME",
    help: "environment variable that holds the master key",
  },
  "master-key-credential": {
    schema: path.optional(),
    value: "NAME",
    help: "systemd credential that holds the master key",
  },
  "tls-cert": { schema: path.optional(), value: "FILE", help: "certificate chain, PEM; switches TLS on" },
  "tls-key": { schema: path.optional(), value: "FILE", help: "private key of the certificate, PEM" },
  "tls-client-ca": {
    schema: path.optional(),
    value: "FILE",
    help: "authorities of client certificates, PEM",
  },
  "tls-client-certificates": {
    schema: z.enum(["none", "optional", "required"]).optional(),
    value: "WHEN",
    help: "none, optional or required; default optional with --tls-client-ca",
  },
  "tls-crl": { schema: path.optional(), value: "FILE", help: "revoked client certificates, PEM" },
  "tls-at-proxy": {
    schema: flag.default(false),
    help: "TLS ends at a proxy of mine: listen without TLS beyond loopback",
  },
  "jwt-issuers": { schema: path.optional(), value: "FILE", help: "YAML file of the JWT issuers to trust" },
  "audit-dir": {
    schema: path.optional(),
    value: "DIR",
    help: "where the audit log lives; default <data-dir>/audit",
  },
  "audit-sync": {
    schema: z.enum(["write", "fsync"]).default("write"),
    value: "HOW",
    help: "write survives a kill of the process, fsync a power cut",
  },
  "audit-segment-bytes": {
    schema: count(2 ** 40, 4096).default(64 * 2 ** 20),
    value: "N",
    help: "size of an audit file",
  },
  "audit-keep-days": {
    schema: count(36_500).default(0),
    value: "N",
    help: "days that the audit log is kept, in whole files; 0 for ever",
  },
  "audit-reserve-bytes": {
    schema: count(2 ** 40).default(64 * 2 ** 20),
    value: "N",
    help: "room kept for the audit log on a full disk",
  },
  "max-value-bytes": {
    schema: count(MAX_VALUE_BYTES_HIGHEST, 1).default(MAX_VALUE_BYTES_DEFAULT),
    value: "N",
    help: "largest value, at most 1048576",
  },
  "max-slots-per-secret": {
    schema: count(1_000_000, 1).default(MAX_SLOTS_PER_SECRET),
    value: "N",
    help: "most slots of one secret",
  },
  "max-message-bytes": {
    schema: count(64 * 2 ** 20, 4096).default(4 * 2 ** 20),
    value: "N",
    help: "largest request",
  },
  "max-streams-per-connection": {
    schema: count(1_000_000, 1).default(1000),
    value: "N",
    help: "calls at once on one connection",
  },
  "max-connections-per-address": {
    schema: count(1_000_000, 1).default(10_000),
    value: "N",
    help: "connections at once of one address",
  },
  "max-calls-per-identity": {
    schema: count(1_000_000, 1).default(10_000),
    value: "N",
    help: "calls at once of one principal",
  },
  "max-watches-per-identity": {
    schema: count(10_000_000, 1).default(100_000),
    value: "N",
    help: "watches at once of one principal",
  },
  "failed-logins-burst": {
    schema: count(1_000_000, 1).default(100),
    value: "N",
    help: "failed logins of one address before it has to wait",
  },
  "failed-logins-per-second": {
    schema: count(1_000_000, 1).default(10),
    value: "N",
    help: "failed logins of one address from then on",
  },
  "write-queue": {
    schema: count(1_000_000, 1).default(4096),
    value: "N",
    help: "writes that may wait for the disk",
  },
  "cache-bytes": {
    schema: count(2 ** 40).default(32 * 2 ** 20),
    value: "N",
    help: "opened values kept in memory; 0 for none",
  },
  "change-retention-hours": {
    schema: count(1_000_000, 1).default(168),
    value: "N",
    help: "how long a watch that was cut can be resumed",
  },
  "slow-consumer-seconds": {
    schema: count(3600, 1).default(30),
    value: "N",
    help: "how long a watcher may take nothing",
  },
  "metrics-listen": {
    schema: z.string().optional(),
    value: "ADDRESS",
    help: "HOST:PORT for Prometheus metrics over HTTP; off by default",
  },
  "log-level": {
    schema: z.enum(["error", "warn", "info", "debug"]).default("info"),
    value: "LEVEL",
    help: "error, warn, info or debug",
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
export type Settings = { readonly [K in SettingName]: z.output<(typeof SETTINGS)[K]["schema"]> };

/** A start that can't go on: one line that says what is wrong and what to do. */
export class StartError extends Error {
  override readonly name = "StartError";
}

export function variableOf(name: SettingName): string {
  return `SLOTS_${name.toUpperCase().replaceAll("-", "_")}`;
}

export interface SettingSources {
  /** From the command line, by name. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The configuration file, when there is one. */
  readonly file: { readonly path: string; readonly text: string } | undefined;
}

/** Variables with the prefix that are not settings of the server. */
const OTHER_VARIABLES = new Set([
  "SLOTS_ADDRESS",
  "SLOTS_TOKEN",
  "SLOTS_TOKEN_FILE",
  "SLOTS_CA",
  "SLOTS_CERT",
  "SLOTS_KEY",
  "SLOTS_CONFIG",
]);

/** A flag beats a variable, a variable beats the file. An unknown key is an error, so that no typing error is silent. */
export function readSettings({ flags, environment, file }: SettingSources): Settings {
  const fromFile = file === undefined ? new Map<string, string>() : parseFile(file.path, file.text);
  const names = Object.keys(SETTINGS) as SettingName[];
  const variables = new Set<string>(names.map(variableOf));
  const masterKeyVariable =
    flags["master-key-env"] ?? environment.SLOTS_MASTER_KEY_ENV ?? fromFile.get("master-key-env");
  for (const variable of Object.keys(environment)) {
    const known = variables.has(variable) || OTHER_VARIABLES.has(variable) || variable === masterKeyVariable;
    if (variable.startsWith("SLOTS_") && !variable.startsWith("SLOTS_TEST_") && !known) {
      throw new StartError(
        `environment variable ${variable} is no setting; run 'slots serve --help' for the list`,
      );
    }
  }
  const settings: Record<string, unknown> = {};
  for (const name of names) {
    const [given, source] = first(
      [flags[name], `--${name}`],
      [environment[variableOf(name)], variableOf(name)],
      [fromFile.get(name), `${file?.path}: ${name}`],
    );
    const parsed = SETTINGS[name].schema.safeParse(given);
    if (!parsed.success)
      throw new StartError(`${source}: ${parsed.error.issues[0]?.message ?? "is not valid"}`);
    settings[name] = parsed.data;
  }
  return settings as Settings;
}

function first(...candidates: readonly (readonly [unknown, string])[]): readonly [unknown, string] {
  return candidates.find(([value]) => value !== undefined) ?? [undefined, ""];
}

/** Lines of `name = value`; empty ones and those that begin with `#` are skipped. */
function parseFile(file: string, text: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const at = `${file}:${index + 1}`;
    const match = /^([a-z-]+)\s*=\s*(.*)$/.exec(line);
    if (match?.[1] === undefined) throw new StartError(`${at}: must be 'name = value'`);
    if (!Object.hasOwn(SETTINGS, match[1])) {
      throw new StartError(`${at}: '${match[1]}' is no setting; run 'slots serve --help' for the list`);
    }
    if (settings.has(match[1])) throw new StartError(`${at}: '${match[1]}' is there twice`);
    settings.set(match[1], (match[2] ?? "").replace(/^"(.*)"$/, "$1"));
  }
  return settings;
}
