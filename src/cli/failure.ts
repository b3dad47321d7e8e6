import type { Code } from "../../clients/typescript/src/index.ts";
import { CliError, EXIT, EXIT_OF_CODE } from "./exit-codes.ts";
import { mayColor, toJson } from "./output.ts";

/** What the client and the offline commands throw: a canonical code, a stable reason, a message without a secret. */
interface CodedError extends Error {
  readonly code: Code;
  readonly reason?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Says what went wrong and what to do, and sets the status that the program ends with. */
export function fail(error: unknown, json: boolean): void {
  process.exitCode = exitOf(error);
  if (json) {
    process.stderr.write(`${toJson({ error: documentOf(error) })}\n`);
    return;
  }
  const hint = isCoded(error) ? hintFor(error) : undefined;
  const mark = mayColor(process.stderr) ? "\u001b[31mslots:\u001b[39m" : "slots:";
  process.stderr.write(`${mark} ${messageOf(error)}${hint === undefined ? "" : `\n  ${hint}`}\n`);
}

export function exitOf(error: unknown): number {
  if (error instanceof CliError) return error.exit;
  return isCoded(error) ? EXIT_OF_CODE[error.code] : EXIT.general;
}

function isCoded(error: unknown): error is CodedError {
  return (
    error instanceof Error && "code" in error && typeof error.code === "string" && error.code in EXIT_OF_CODE
  );
}

function messageOf(error: unknown): string {
  if (!isCoded(error)) return error instanceof Error ? ofSystem(error) : String(error);
  const [, cause, address] = /connect (E[A-Z]+) (\S+?)\.? /.exec(`${error.message} `) ?? [];
  const message = cause === undefined ? error.message : `can't connect to ${address}: ${cause}`;
  return `${message} (${error.reason || error.code})`;
}

/** What the system says of a file, in words. */
function ofSystem(error: NodeJS.ErrnoException): string {
  const { code, path, message } = error;
  if (path === undefined) return message;
  const [, words = message] = /^[A-Z]+: ([^,]+),/.exec(message) ?? [];
  return `${path}: ${words} (${code})`;
}

function documentOf(error: unknown): unknown {
  if (!isCoded(error)) return { code: "", reason: "", message: messageOf(error), metadata: {} };
  const { code, reason = "", message, metadata = {} } = error;
  return { code, reason, message, metadata };
}

/** What to do next, where that can be told from the failure alone. */
function hintFor({ code, reason, message }: CodedError): string | undefined {
  switch (reason) {
    case "TOKEN_UNREADABLE":
      return "Give a file that holds a token with --token-file or SLOTS_TOKEN_FILE, or a token in SLOTS_TOKEN.";
    case "PLAINTEXT_REFUSED":
      return "Give --ca FILE (your own authority) or --tls (the system's).";
    case "SLOT_EXISTS":
      return "Put to a new slot to rotate (--next, --now), or say --overwrite to replace this one's value.";
    case "SLOT_DESTROYED":
      return "A destroyed number takes a new value only with --overwrite.";
    case "REVISION_MISMATCH":
    case "ETAG_MISMATCH":
      return "Somebody changed it meanwhile: look with 'slots describe' and decide again.";
    case "SECRETS_MISSING":
      return "Put what is missing first, or wait longer with --wait.";
    case "NO_EFFECTIVE_SLOT":
      return "'slots describe NAME' shows its slots.";
    case "SECRET_NOT_FOUND":
      return "'slots list' shows the names there are.";
    case "KEY_IN_USE":
      return "Run 'slots key rotate' first: it moves everything to the new key.";
  }
  switch (code) {
    case "UNAVAILABLE":
      return /certificate|self-signed|SSL|TLS/i.test(message)
        ? "Is --ca the authority that signed the server's certificate, and the address one of its names?"
        : "Is the server running there? Start one with 'slots serve', or name another with --address or SLOTS_ADDRESS.";
    case "DEADLINE_EXCEEDED":
      return "The server did not answer in time: check the address, or allow more with --timeout.";
    case "UNAUTHENTICATED":
      return (
        "The server does not know this identity: set SLOTS_TOKEN_FILE, SLOTS_TOKEN or --token-file, or run where " +
        "./data/admin.token is. Lost it? 'slots token create --data-dir DIR' on the server's machine makes another."
      );
    case "PERMISSION_DENIED":
      return "'slots can ACTION NAME' tells what is allowed; policies are set with 'slots policy apply'.";
    default:
      return undefined;
  }
}
