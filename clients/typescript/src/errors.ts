/** gRPC's canonical codes by number. */
const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** The canonical name of a gRPC status code. */
export type Code = Exclude<(typeof CODES)[number], "OK">;

/** What the server says about one field of a request that it refused. */
export type FieldViolation = { readonly field: string; readonly description: string };

export type SlotsErrorDetails = {
  /** The stable word to switch on, such as `SECRET_NOT_FOUND`; "" when the server gave none. */
  readonly reason?: string;
  /** The dynamic parts of the message, such as `name`. Never a value, never a token. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly fieldViolations?: readonly FieldViolation[];
  /** How long the server asks to wait before another try, milliseconds. */
  readonly retryDelayMs?: number;
  readonly cause?: unknown;
};

/** The one error type of this client: from the server, or made here with the same codes and reasons. */
export class SlotsError extends Error {
  override readonly name = "SlotsError";
  readonly code: Code;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fieldViolations: readonly FieldViolation[];
  readonly retryDelayMs: number | undefined;

  constructor(code: Code, message: string, details: SlotsErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reason = details.reason ?? "";
    this.metadata = details.metadata ?? {};
    this.fieldViolations = details.fieldViolations ?? [];
    this.retryDelayMs = details.retryDelayMs;
  }
}

/** The name of a status number; a number gRPC does not know is UNKNOWN. */
export function codeOf(status: number): Code {
  const code = CODES[status];
  return code === undefined || code === "OK" ? "UNKNOWN" : code;
}

/** An argument that is refused before anything is sent. */
export function invalidArgument(message: string, reason = "INVALID_ARGUMENT"): SlotsError {
  return new SlotsError("INVALID_ARGUMENT", message, { reason });
}

/** Whatever was thrown, as a SlotsError. */
export function asSlotsError(thrown: unknown): SlotsError {
  if (thrown instanceof SlotsError) return thrown;
  const message = thrown instanceof Error ? thrown.message : "something that is no error was thrown";
  return new SlotsError("INTERNAL", message, { cause: thrown });
}
