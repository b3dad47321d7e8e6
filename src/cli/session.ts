import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import type { Client, ConnectOptions } from "../../clients/typescript/src/index.ts";
import { usageError } from "./exit-codes.ts";
import { fail } from "./failure.ts";
import { Output } from "./output.ts";

const DEFAULT_ADDRESS = "127.0.0.1:50051";
/** Where a first start of the server in this folder puts it. */
const DEFAULT_TOKEN_FILE = "./data/admin.token";

/** Flags of every command that talks to a server; taken before the verb and after it. */
export interface ConnectFlags {
  readonly address?: string;
  readonly tokenFile?: string;
  readonly tls?: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly timeout?: string;
}

export function addConnectFlags(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--address <ADDRESS>",
        `HOST:PORT or unix:PATH (env SLOTS_ADDRESS; default ${DEFAULT_ADDRESS})`,
      ),
    )
    .addOption(
      new Option(
        "--token-file <FILE>",
        `file that holds the token (env SLOTS_TOKEN_FILE, or the token itself in SLOTS_TOKEN; default ${DEFAULT_TOKEN_FILE})`,
      ),
    )
    .addOption(new Option("--tls", "use TLS with the system's authorities"))
    .addOption(
      new Option("--ca <FILE>", "authorities of the server's certificate, PEM; implies TLS (env SLOTS_CA)"),
    )
    .addOption(new Option("--cert <FILE>", "client certificate, PEM; with --key (env SLOTS_CERT)"))
    .addOption(new Option("--key <FILE>", "its private key, PEM (env SLOTS_KEY)"))
    .addOption(new Option("--timeout <SECONDS>", "how long a call may take, retries included (default 5)"));
}

export function addOutputFlag(command: Command): Command {
  return command.addOption(
    new Option("--output <FORMAT>", "human, or json: one document for each result (default human)").choices([
      "human",
      "json",
    ]),
  );
}

/** One run of a command that talks to a server. */
export interface Session {
  readonly client: Client;
  readonly out: Output;
  /** How the server is reached and as whom, for messages; never a token. */
  readonly address: string;
}

type Run<A extends readonly unknown[], O> = (session: Session, args: A, options: O) => Promise<void>;
type RunOffline<A extends readonly unknown[], O> = (out: Output, args: A, options: O) => Promise<void>;

/** Makes `run` the action of a command that talks to a server. */
export function online<A extends readonly unknown[], O>(command: Command, run: Run<A, O>): Command {
  addConnectFlags(command);
  return offline<A, O & ConnectFlags>(command, (out, args, options) =>
    withClient(options, out, (session) => run(session, args, options)),
  );
}

/** Makes `run` the action of a command that needs no server. */
export function offline<A extends readonly unknown[], O>(command: Command, run: RunOffline<A, O>): Command {
  addOutputFlag(command);
  return command.action(async () => {
    // The flag nearest to the verb wins.
    const options = { ...rootOf(command).opts(), ...command.opts() } as O & {
      readonly output?: "human" | "json";
    };
    const out = new Output(options.output ?? "human");
    try {
      await run(out, command.processedArgs as unknown as A, options);
    } catch (error) {
      fail(error, out.json);
    }
  });
}

export async function withClient(
  flags: ConnectFlags,
  out: Output,
  run: (session: Session) => Promise<void>,
): Promise<void> {
  const options = connectOptions(flags, out);
  // Loaded only now: help, completion and mistakes in the command line need no gRPC.
  const { connect } = await import("../../clients/typescript/src/index.ts");
  // gRPC sends an IP address as TLS server name, and Node would tell every user so; nothing depends on it.
  process.noDeprecation = true;
  const client = connect(options);
  try {
    await run({ client, out, address: options.address });
  } finally {
    client.close();
  }
}

function connectOptions(flags: ConnectFlags, out: Output): ConnectOptions {
  const env = (name: string) => process.env[name] || undefined;
  const ca = flags.ca ?? env("SLOTS_CA");
  const cert = flags.cert ?? env("SLOTS_CERT");
  const key = flags.key ?? env("SLOTS_KEY");
  const withFiles = ca !== undefined || cert !== undefined || key !== undefined;
  return {
    address: flags.address ?? env("SLOTS_ADDRESS") ?? DEFAULT_ADDRESS,
    ...tokenOptions(flags.tokenFile, cert !== undefined),
    ...(withFiles ? { tls: { ca, cert, key } } : { tls: flags.tls ?? false }),
    ...(flags.timeout === undefined ? {} : { timeoutMs: seconds(flags.timeout, "--timeout") }),
    onWarning: (message) => out.note(`slots: ${message}`),
  };
}

function tokenOptions(
  flag: string | undefined,
  withCertificate: boolean,
): Pick<ConnectOptions, "token" | "tokenFile"> {
  const { SLOTS_TOKEN: token, SLOTS_TOKEN_FILE: file } = process.env;
  if (flag !== undefined) return { tokenFile: flag };
  if (token) return { token };
  if (file) return { tokenFile: file };
  // Who shows a certificate is somebody already; a second identity would be refused.
  if (withCertificate || !existsSync(DEFAULT_TOKEN_FILE)) return {};
  return { tokenFile: DEFAULT_TOKEN_FILE };
}

export function seconds(text: string, option: string): number {
  const number = /^[0-9]+(?:\.[0-9]+)?$/.test(text) ? Number(text) : 0;
  if (!(number > 0 && number <= 1e6))
    throw usageError(`${option} must be a number of seconds above 0, not '${text}'`);
  return number * 1000;
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}
