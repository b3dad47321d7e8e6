/** The canonical codes that an operation may end with. Closed: the server maps each one. */
export const ERROR_CODES = [
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "FAILED_PRECONDITION",
  "ABORTED",
  "RESOURCE_EXHAUSTED",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "DATA_LOSS",
  "UNAVAILABLE",
  "UNIMPLEMENTED",
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "INTERNAL",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** The stable reasons that callers may act on, each with its usual code. Closed and documented in docs/errors.md. */
export const REASONS = {
  INVALID_FIELD: "INVALID_ARGUMENT",
  MALFORMED_REQUEST: "INVALID_ARGUMENT",
  BAD_PAGE_TOKEN: "INVALID_ARGUMENT",
  BAD_RESUME_TOKEN: "INVALID_ARGUMENT",
  REQUEST_ID_REUSED: "INVALID_ARGUMENT",
  SECRET_NOT_FOUND: "NOT_FOUND",
  NO_EFFECTIVE_SLOT: "NOT_FOUND",
  SLOT_NOT_FOUND: "NOT_FOUND",
  TOKEN_NOT_FOUND: "NOT_FOUND",
  KEY_NOT_FOUND: "NOT_FOUND",
  SLOT_EXISTS: "ALREADY_EXISTS",

  SLOT_DESTROYED: "FAILED_PRECONDITION",
  SLOT_NUMBERS_EXHAUSTED: "FAILED_PRECONDITION",
  KEY_IN_USE: "FAILED_PRECONDITION",
  KEY_NOT_LOADED: "FAILED_PRECONDITION",
  ETAG_MISMATCH: "ABORTED",
  REVISION_MISMATCH: "ABORTED",
  TOO_MANY_SLOTS: "RESOURCE_EXHAUSTED",
  TOO_MANY_CALLS: "RESOURCE_EXHAUSTED",
  TOO_MANY_WATCHES: "RESOURCE_EXHAUSTED",
  TOO_MANY_CONNECTIONS: "RESOURCE_EXHAUSTED",
  TOO_MANY_FAILED_LOGINS: "RESOURCE_EXHAUSTED",
  WRITE_QUEUE_FULL: "RESOURCE_EXHAUSTED",
  DISK_FULL: "RESOURCE_EXHAUSTED",
  MESSAGE_TOO_LARGE: "RESOURCE_EXHAUSTED",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  RECORD_DAMAGED: "DATA_LOSS",
  DRAINING: "UNAVAILABLE",
  SLOW_CONSUMER: "UNAVAILABLE",
  STORE_BUSY: "UNAVAILABLE",
  AUDIT_UNAVAILABLE: "UNAVAILABLE",
  NOT_IMPLEMENTED: "UNIMPLEMENTED",
  CANCELLED: "CANCELLED",
  DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
  INTERNAL: "INTERNAL",
} as const satisfies Record<string, ErrorCode>;
export type Reason = keyof typeof REASONS;

/** One wrong field of a request: its path and what is allowed there. Never holds the value that was sent. */
export interface FieldViolation {
  readonly field: string;
  readonly rule: string;
}

export interface SlotsErrorOptions {
  /** The message's dynamic parts, for programs. Never a value or a token. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Where one reason has two codes: a put to a destroyed slot is ALREADY_EXISTS, enabling one FAILED_PRECONDITION. */
  readonly code?: ErrorCode;
  readonly violations?: readonly FieldViolation[];
  /** When trying again is worth it, milliseconds. */
  readonly retryAfterMs?: number;
  /** Stays in this process; it is never sent to a caller. */
  readonly cause?: unknown;
}

/** The one error of this house. Anything else that is thrown reaches a caller as INTERNAL and nothing more. */
export class SlotsError extends Error {
  override readonly name = "SlotsError";
  readonly code: ErrorCode;
  readonly reason: Reason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, options: SlotsErrorOptions = {}) {
    // A refusal is an answer: nobody reads where it was made, and finding that out costs more than the rest of it, which
    // whoever floods a server would like.
    const limit = Error.stackTraceLimit;
    if (reason !== "INTERNAL") Error.stackTraceLimit = 0;
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    Error.stackTraceLimit = limit;
    this.reason = reason;
    this.code = options.code ?? REASONS[reason];
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Bad input: names the field and the rule it breaks. */
export function invalidField(field: string, rule: string): SlotsError {
  return new SlotsError("INVALID_FIELD", `${field}: ${rule}`, {
    metadata: { field },
    violations: [{ field, rule }],
  });
}
